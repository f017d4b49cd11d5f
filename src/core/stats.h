/* SPDX-License-Identifier: Apache-2.0 */
/* stats - counters of the server as a whole; any thread. Read by restantectl status. */
#ifndef RST_CORE_STATS_H
#define RST_CORE_STATS_H

#include <stddef.h>
#include <stdint.h>

enum stat_id {
	STAT_SESSIONS, STAT_LOGIN_OK, STAT_LOGIN_DENIED, STAT_LOGIN_TEMP, STAT_TLS_HANDSHAKE, STAT_TLS_FAILED,
	STAT_RETRIEVED, STAT_OCTETS_OUT, STAT_COMMIT_OK, STAT_COMMIT_FAILED, STAT_DELETED, STAT_QUIT_WITHOUT,
	STAT_TAKEOVER, STAT_IN_USE, STAT_READ_ERROR, STAT_SIZE_MISMATCH, STAT_BAD_COMMAND,
	STAT_CACHE_ACCEPTED, STAT_CACHE_REFUSED, STAT_LAST_GOOD,
	STAT_DELIVERY_SESSIONS, STAT_MAILS_ACCEPTED, STAT_MAILS_REFUSED, STAT_MAILS_DEFERRED, STAT_OCTETS_IN,
	STAT_RCPTS_REFUSED, STAT_RCPTS_DEFERRED, STAT_MAX
};

void stat_add(enum stat_id id, uint64_t n);
uint64_t stat_get(enum stat_id id);
const char *stat_name(enum stat_id id);

#endif
