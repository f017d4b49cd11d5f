/* SPDX-License-Identifier: Apache-2.0 */
/* ram - an instance of the example module, its mailboxes, their messages. The essay is in ram.c. */
#ifndef RAM_H
#define RAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#define RAM_BUCKETS 1024u

/* A message: its bytes never change, so a session may read them without a lock. */
struct ram_message {
	uint32_t refs; /* the box counts as one, so does each snapshot */
	bool gone;     /* deleted; only snapshots still hold it */
	bool utf8_header;
	uint8_t meta_len;
	uint8_t meta[64];
	uint32_t uidl_len;
	char uidl[PM_UIDL_MAX];
	uint8_t op_id[16]; /* of the delivery it came with; zero: none */
	uint64_t order;
	uint64_t octets; /* on the wire */
	int64_t received_ms;
	int64_t first_retrieved_ms;
	int64_t hidden_until_ms; /* 0: visible */
	size_t n;
	unsigned char bytes[];
};

/* A mailbox. It lives until the instance is closed, even when it is empty: keeping its key costs
 * less than finding out who still points to it. */
struct ram_box {
	struct ram_box *next_in_bucket;
	struct ram_message **msgs; /* by order */
	size_t n, cap;
	size_t serial; /* its place in ram->boxes */
	uint64_t last_order;
	int64_t last_delivery_ms;
	/* something was put into it since it was made or deleted */
	bool exists;
	bool locked; /* an exclusive session has it */
	/* unique-ids that were imported, and may be deleted by now */
	char (*imports)[PM_UIDL_MAX + 1];
	size_t n_imports, cap_imports;
	size_t key_n;
	char key[];
};

struct ram_account {
	char *name, *password;
};

/* One instance. */
struct ram {
	const struct pm_host *host;
	struct ram_account *accounts; /* written by open only */
	size_t n_accounts;
	uint64_t seed;      /* messages a new mailbox begins with */
	uint64_t max_bytes; /* of one message */
	char tag[20];       /* begins the unique-ids this instance makes up */
	pthread_mutex_t mutex;
	/* below, and all that is reached from it: under mutex */
	struct ram_box *buckets[RAM_BUCKETS];
	struct ram_box **boxes; /* in the order they were made */
	size_t n_boxes, cap_boxes;
	uint64_t last_uidl;
};

#endif
