/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger_write.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_line.h"

#define LINE_MAX_BYTES 1600

static bool
ledger_write_room(struct ledger_out *o, size_t n)
{
	size_t cap = o->cap ? o->cap : 4096;
	char *more;

	if (o->failed || o->cap - o->n >= n)
		return !o->failed;
	while (cap - o->n < n)
		cap *= 2;
	more = realloc(o->text, cap);
	if (!more) {
		o->failed = true;
		return false;
	}
	o->text = more;
	o->cap = cap;
	return true;
}

static void ledger_write_put(struct ledger_out *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
ledger_write_put(struct ledger_out *o, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line)) {
		o->failed = true; /* the file system bounds names, so this cannot happen */
		return;
	}
	if (!ledger_write_room(o, (size_t)n + 11))
		return;
	snprintf(o->text + o->n, 10, "%08" PRIx32 " ", ledger_line_crc(line, (size_t)n));
	memcpy(o->text + o->n + 9, line, (size_t)n);
	o->text[o->n + 9 + (size_t)n] = '\n';
	o->n += (size_t)n + 10;
	o->lines++;
}

void
ledger_put_header(struct ledger_out *o)
{
	if (!ledger_write_room(o, sizeof(LEDGER_HEADER)))
		return;
	memcpy(o->text + o->n, LEDGER_HEADER, sizeof(LEDGER_HEADER) - 1);
	o->n += sizeof(LEDGER_HEADER) - 1;
}

void
ledger_put_message(struct ledger_out *o, const char *identity, size_t identity_n, const char *uidl,
		   size_t uidl_n, uint64_t octets, uint64_t stored, int64_t first_ms,
		   int64_t hidden_ms)
{
	char wire[24] = "-", kept[24] = "-";

	if (octets != LEDGER_UNKNOWN)
		snprintf(wire, sizeof(wire), "%" PRIu64, octets);
	if (octets == LEDGER_UNKNOWN || stored != LEDGER_UNKNOWN)
		snprintf(kept, sizeof(kept), "%" PRIu64, octets != LEDGER_UNKNOWN ? stored : 0);
	ledger_write_put(o, "M %.*s %.*s %s %s %" PRId64 " %" PRId64, (int)identity_n, identity,
			 (int)uidl_n, uidl, wire, kept, first_ms, hidden_ms);
}

void
ledger_put_mark(struct ledger_out *o, char kind, const char *identity, size_t n, int64_t ms)
{
	ledger_write_put(o, "%c %.*s %" PRId64, kind, (int)n, identity, ms);
}

void
ledger_put_delete(struct ledger_out *o, const char *op_hex, const char *identity, size_t n)
{
	ledger_write_put(o, "D %s %.*s", op_hex, (int)n, identity);
}

void
ledger_put_hide(struct ledger_out *o, const char *op_hex, const char *identity, size_t n,
		int64_t ms)
{
	ledger_write_put(o, "G %s %.*s %" PRId64, op_hex, (int)n, identity, ms);
}

void
ledger_put_commit(struct ledger_out *o, const char *op_hex, uint64_t n, int64_t ms)
{
	ledger_write_put(o, "C %s %" PRIu64 " %" PRId64, op_hex, n, ms);
}

void
ledger_put_remembered(struct ledger_out *o, const struct ledger_message *m)
{
	ledger_put_message(o, m->identity, m->identity_n, m->uidl, m->uidl_n, m->octets, m->stored,
			   m->first_retrieved_ms, m->hidden_until_ms);
	if (!m->deleted)
		return;
	ledger_put_delete(o, LEDGER_NO_OP, m->identity, m->identity_n);
	ledger_put_commit(o, LEDGER_NO_OP, 1, m->deleted_ms);
}

void
ledger_put_done(struct ledger_out *o, const char *op_hex)
{
	ledger_write_put(o, "E %s", op_hex);
}

void
ledger_put_file(struct ledger_out *o, const char *identity, size_t n, const struct ledger_file *f)
{
	ledger_write_put(o, "T %.*s %s %" PRIu64 " %" PRIu64 " %" PRIu64, (int)n, identity,
			 f->content, f->ino, f->size, f->mtime_ns);
}

void
ledger_out_free(struct ledger_out *o)
{
	free(o->text);
	memset(o, 0, sizeof(*o));
}

void
ledger_op_hex(const uint8_t op_id[16], char hex[33])
{
	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", op_id[i]);
}
