/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats - counters of the server as a whole; any thread. Read by restantectl status and metrics.
 *
 * Each thread adds to a block of its own, so that counting costs a load and a store and shares no
 * cache line; reading sums over the blocks. They are as many as there were threads, and stay.
 */
#ifndef RST_BASE_STATS_H
#define RST_BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

enum stat_id {
	STAT_SESSIONS,
	STAT_LOGIN_OK,
	STAT_LOGIN_DENIED,
	STAT_LOGIN_TEMP,
	STAT_TLS12,
	STAT_TLS13,
	STAT_TLS_FAILED,
	STAT_RETRIEVED,
	STAT_OCTETS_OUT,
	STAT_COMMIT_OK,
	STAT_COMMIT_PARTIAL,
	STAT_COMMIT_UNKNOWN,
	STAT_COMMIT_FAILED,
	STAT_DELETED,
	STAT_QUIT_WITHOUT,
	STAT_TAKEOVER,
	STAT_IN_USE,
	STAT_READ_ERROR,
	STAT_SIZE_MISMATCH,
	STAT_BAD_COMMAND,
	STAT_CACHE_ACCEPTED,
	STAT_CACHE_REFUSED,
	STAT_CACHE_MISSED,
	STAT_LAST_GOOD,
	STAT_LMTP_SESSIONS,
	STAT_SMTP_SESSIONS,
	STAT_MAILS,
	STAT_MAILS_ACCEPTED,
	STAT_MAILS_REFUSED,
	STAT_MAILS_DEFERRED,
	STAT_OCTETS_IN,
	STAT_RCPTS_ACCEPTED,
	STAT_RCPTS_REFUSED,
	STAT_RCPTS_DEFERRED,
	STAT_KEPT_RETRY,
	STAT_KEPT_REFUSED,
	STAT_DOOR_CLOSED,
	STAT_RETRY_DELIVERED,
	STAT_RETRY_FAILED,
	STAT_UNDO_MOVED,
	STAT_UNDO_FAILED,
	STAT_NET_IN,
	STAT_NET_OUT,
	STAT_RELOADED,
	STAT_RELOAD_FAILED,
	STAT_MAX
};

void stat_add(enum stat_id id, uint64_t n);
uint64_t stat_get(enum stat_id id);
const char *stat_name(enum stat_id id);

#endif
