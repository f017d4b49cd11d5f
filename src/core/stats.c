/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stats.h"

#include <stdatomic.h>

static _Atomic uint64_t counters[STAT_MAX];

static const char *const names[STAT_MAX] = {
	[STAT_SESSIONS] = "sessions",	      [STAT_LOGIN_OK] = "logins_accepted",
	[STAT_LOGIN_DENIED] = "logins_denied", [STAT_LOGIN_TEMP] = "logins_failed_by_backend",
	[STAT_TLS_HANDSHAKE] = "tls_handshakes", [STAT_TLS_FAILED] = "tls_handshakes_failed",
	[STAT_RETRIEVED] = "messages_retrieved", [STAT_OCTETS_OUT] = "octets_retrieved",
	[STAT_COMMIT_OK] = "commits",	      [STAT_COMMIT_FAILED] = "commits_failed",
	[STAT_DELETED] = "messages_deleted",  [STAT_QUIT_WITHOUT] = "sessions_ended_without_quit_with_deletes",
	[STAT_TAKEOVER] = "takeovers",	      [STAT_IN_USE] = "logins_in_use",
	[STAT_READ_ERROR] = "read_errors",    [STAT_SIZE_MISMATCH] = "size_mismatches",
	[STAT_BAD_COMMAND] = "bad_commands",  [STAT_CACHE_ACCEPTED] = "logins_accepted_from_cache",
	[STAT_CACHE_REFUSED] = "logins_refused_from_cache", [STAT_LAST_GOOD] = "logins_by_last_known_good",
	[STAT_DELIVERY_SESSIONS] = "delivery_sessions", [STAT_MAILS_ACCEPTED] = "copies_delivered",
	[STAT_MAILS_REFUSED] = "copies_refused",	[STAT_MAILS_DEFERRED] = "copies_deferred",
	[STAT_OCTETS_IN] = "octets_delivered",		[STAT_RCPTS_REFUSED] = "recipients_refused",
	[STAT_RCPTS_DEFERRED] = "recipients_deferred",
};

void
stat_add(enum stat_id id, uint64_t n)
{
	/* a sum nobody decides by: order does not matter */
	atomic_fetch_add_explicit(&counters[id], n, memory_order_relaxed);
}

uint64_t
stat_get(enum stat_id id)
{
	return atomic_load_explicit(&counters[id], memory_order_relaxed);
}

const char *
stat_name(enum stat_id id)
{
	return names[id];
}
