/* SPDX-License-Identifier: Apache-2.0 */
/* ram - what the files of the example module share. The essay is in ram.c. */
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

/* A mailbox. Lives until the instance is closed, also when it is empty: its key costs less than the
 * question who still points to it. */
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

/* ---- box.c: mailboxes and messages -------------------------------------------------------------
 */

/* A message of n bytes with nothing set but n, refs = 1 and received_ms; NULL: no memory. */
struct ram_message *ram_message_new(const struct ram *ram, size_t n);
/* Octets and flags of bytes that are complete now. */
void ram_message_measure(struct ram_message *m);
bool ram_message_set_uidl(struct ram_message *m, const char *uidl, size_t n);

/* All below: under the mutex. */
void ram_message_put(struct ram_message *m);
/* The mailbox of this key, made and seeded when it is not there. NULL: no memory. */
struct ram_box *ram_box_get(struct ram *ram, struct pm_str key);
/* The same, never made. */
struct ram_box *ram_box_find(const struct ram *ram, struct pm_str key);
/* Takes over the caller's reference. The unique-id is known to be unique. False: no memory. */
bool ram_box_add(struct ram_box *box, struct ram_message *m);
bool ram_box_has_uidl(const struct ram_box *box, const char *uidl, size_t n);
/* Was it imported, whatever became of it? */
bool ram_box_imported(const struct ram_box *box, const char *uidl, size_t n);
/* False: no memory. */
bool ram_box_note_import(struct ram_box *box, const char *uidl, size_t n);
/* Lets go of the messages marked `gone`. */
void ram_box_sweep(struct ram_box *box);
void ram_boxes_free(struct ram *ram);

/* ---- seed.c: mail to begin with ----------------------------------------------------------------
 */

/* ram->seed messages, the same in every run. False: no memory. */
bool ram_seed(struct ram *ram, struct ram_box *box);
/* The files of DIR/KEY/ as mailboxes, for open(). False: err says why. */
bool ram_seed_load(struct ram *ram, const char *dir, char *err, size_t errlen);

/* The key of a user's mailbox: as auth says, or the name. */
struct pm_str ram_key(const struct pm_user *user);

extern const struct pm_storage ram_storage;   /* store.c */
extern const struct pm_delivery ram_delivery; /* deliver.c */

#endif
