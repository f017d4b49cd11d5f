/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_write - lines of a ledger (ledger.h): collected first, then appended in one write. */
#ifndef SDK_LEDGER_WRITE_H
#define SDK_LEDGER_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"

struct ledger_out {
	char *text;
	size_t n, cap;
	size_t lines; /* the header does not count */
	bool failed;  /* no memory */
};

void ledger_put_header(struct ledger_out *o);
void ledger_put_message(struct ledger_out *o, const char *identity, size_t identity_n,
			const char *uidl, size_t uidl_n, uint64_t octets, uint64_t stored,
			int64_t first_ms, int64_t hidden_ms);
/* F, H */
void ledger_put_mark(struct ledger_out *o, char kind, const char *identity, size_t n, int64_t ms);
void ledger_put_delete(struct ledger_out *o, const char *op_hex, const char *identity, size_t n);
void ledger_put_hide(struct ledger_out *o, const char *op_hex, const char *identity, size_t n,
		     int64_t ms);
void ledger_put_commit(struct ledger_out *o, const char *op_hex, uint64_t n, int64_t ms);
/* Puts a message that is kept, for a ledger that is rewritten: three records at most. The caller
 * puts the E of LEDGER_NO_OP. */
void ledger_put_remembered(struct ledger_out *o, const struct ledger_message *m);
void ledger_put_done(struct ledger_out *o, const char *op_hex);
void ledger_put_file(struct ledger_out *o, const char *identity, size_t n,
		     const struct ledger_file *f);
void ledger_out_free(struct ledger_out *o);

/* 16 bytes as 32 hex digits and a NUL. */
void ledger_op_hex(const uint8_t op_id[16], char hex[33]);

#endif
