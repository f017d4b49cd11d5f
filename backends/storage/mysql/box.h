/* SPDX-License-Identifier: Apache-2.0 */
/* box - mailboxes: rows, counters, totals, removal. */
#ifndef MYSQL_BOX_H
#define MYSQL_BOX_H

#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#define DOMAIN_MAX 320u

struct db;
struct lease;

/* A mailbox's row. id 0: there is none. */
struct box_row {
	uint64_t id;
	uint64_t messages, octets; /* without hidden mail */
	size_t domain_n;
	char domain[DOMAIN_MAX];
};

struct pm_str box_key(const struct pm_user *user);
int32_t box_find(struct db *d, struct pm_str key,
		 struct box_row *ret); /* PM_OK also when there is none */
/* The same, and reads the lease's fence for lease_take. */
int32_t box_open(struct db *d, struct pm_str key, struct box_row *ret, struct lease *l);
/* Makes the row when there is none. */
int32_t box_make(struct db *d, struct pm_str key, struct pm_str domain, struct box_row *ret);
/* Called in a transaction: subtracts mail that goes; a counter that cannot be right is counted
 * again. */
int32_t box_subtract(struct db *d, const struct box_row *box, uint64_t messages, uint64_t octets);
int32_t box_recount(struct db *d, const struct box_row *box);
/* Changes the counters of hidden mail: messages that were hidden or, negative, removed. */
int32_t box_hidden(struct db *d, const struct box_row *box, int64_t messages, int64_t octets);
int32_t box_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n,
		 size_t stride, struct pm_box *ret, size_t *ret_got);
int32_t box_stat(void *inst, const struct pm_call *call, const struct pm_user *user,
		 struct pm_stat *ret_stat);
int32_t box_delete(void *inst, const struct pm_call *call, const struct pm_user *user);
int32_t box_place(void *inst, const struct pm_call *call, const struct pm_user *user,
		  struct pm_str *ret_place);

#endif
