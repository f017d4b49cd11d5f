/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stats.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64 /* octets of a cache line */

struct block {
	_Alignas(LINE) _Atomic uint64_t n[STAT_MAX];
	struct block *next; /* never changes once it is listed */
};

static _Atomic(struct block *) blocks;
static _Thread_local struct block *mine;
static struct block shared; /* of threads that found no memory for one */

static const char *const names[STAT_MAX] = {
	[STAT_SESSIONS] = "sessions",
	[STAT_LOGIN_OK] = "logins_accepted",
	[STAT_LOGIN_DENIED] = "logins_denied",
	[STAT_LOGIN_TEMP] = "logins_failed_by_backend",
	[STAT_TLS12] = "tls_handshakes_1.2",
	[STAT_TLS13] = "tls_handshakes_1.3",
	[STAT_TLS_FAILED] = "tls_handshakes_failed",
	[STAT_RETRIEVED] = "messages_retrieved",
	[STAT_OCTETS_OUT] = "octets_retrieved",
	[STAT_COMMIT_OK] = "commits",
	[STAT_COMMIT_PARTIAL] = "commits_partial",
	[STAT_COMMIT_UNKNOWN] = "commits_unknown",
	[STAT_COMMIT_FAILED] = "commits_failed",
	[STAT_DELETED] = "messages_deleted",
	[STAT_QUIT_WITHOUT] = "sessions_ended_without_quit_with_deletes",
	[STAT_TAKEOVER] = "takeovers",
	[STAT_IN_USE] = "logins_in_use",
	[STAT_READ_ERROR] = "read_errors",
	[STAT_SIZE_MISMATCH] = "size_mismatches",
	[STAT_BAD_COMMAND] = "bad_commands",
	[STAT_CACHE_ACCEPTED] = "logins_accepted_from_cache",
	[STAT_CACHE_REFUSED] = "logins_refused_from_cache",
	[STAT_CACHE_MISSED] = "logins_not_in_cache",
	[STAT_LAST_GOOD] = "logins_by_last_known_good",
	[STAT_LMTP_SESSIONS] = "lmtp_sessions",
	[STAT_SMTP_SESSIONS] = "smtp_sessions",
	[STAT_MAILS] = "messages_received",
	[STAT_MAILS_ACCEPTED] = "copies_delivered",
	[STAT_MAILS_REFUSED] = "copies_refused",
	[STAT_MAILS_DEFERRED] = "copies_deferred",
	[STAT_OCTETS_IN] = "octets_delivered",
	[STAT_RCPTS_ACCEPTED] = "recipients_accepted",
	[STAT_RCPTS_REFUSED] = "recipients_refused",
	[STAT_RCPTS_DEFERRED] = "recipients_deferred",
	[STAT_KEPT_RETRY] = "badmail_kept_to_retry",
	[STAT_KEPT_REFUSED] = "badmail_kept_refused",
	[STAT_DOOR_CLOSED] = "badmail_door_closed",
	[STAT_RETRY_DELIVERED] = "badmail_retries_delivered",
	[STAT_RETRY_FAILED] = "badmail_retries_failed",
	[STAT_UNDO_MOVED] = "undo_messages_moved",
	[STAT_UNDO_FAILED] = "undo_moves_failed",
	[STAT_NET_IN] = "octets_from_clients",
	[STAT_NET_OUT] = "octets_to_clients",
	[STAT_RELOADED] = "reloads",
	[STAT_RELOAD_FAILED] = "reloads_failed",
};

/* The thread's block, made with its first count. */
static struct block *
stats_block_new(void)
{
	struct block *b = aligned_alloc(LINE, (sizeof(*b) + LINE - 1) / LINE * LINE);

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->next = atomic_load(&blocks);
	while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
		;
	return b;
}

void
stat_add(enum stat_id id, uint64_t n)
{
	if (!mine && !(mine = stats_block_new())) {
		atomic_fetch_add_explicit(&shared.n[id], n, memory_order_relaxed);
		return;
	}
	/* one writer, and sums nobody decides by: order does not matter */
	atomic_store_explicit(&mine->n[id],
			      atomic_load_explicit(&mine->n[id], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

uint64_t
stat_get(enum stat_id id)
{
	uint64_t sum = atomic_load_explicit(&shared.n[id], memory_order_relaxed);

	for (const struct block *b = atomic_load(&blocks); b; b = b->next)
		sum += atomic_load_explicit(&b->n[id], memory_order_relaxed);
	return sum;
}

const char *
stat_name(enum stat_id id)
{
	return names[id];
}
