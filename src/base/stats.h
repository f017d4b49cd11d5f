/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats - counters of the server as a whole; any thread. Each is a row in the table below, and
 * nowhere else: metrics and restantectl status read it from there, and tests/unit/expo_test.c fails
 * when doc/admin.md does not explain it.
 *
 * Each thread adds to a block of its own, so that counting costs a load and a store and shares no
 * cache line; reading sums over the blocks. There are as many blocks as there ever were threads;
 * none is freed.
 */
#ifndef RST_BASE_STATS_H
#define RST_BASE_STATS_H

#include <stddef.h>
#include <stdint.h>

/*
 * X(id, family, help, {label, value} ...): the counter's name for Prometheus; in restantectl status
 * it is the family without restante_ and _total, and the values of the labels, joined by "_". A
 * family is named once: its other counters follow with NULL.
 */
#define STATS(X) \
	X(SESSIONS, "restante_sessions_total", "Sessions that were begun.", {"protocol", "pop3"}) \
	X(LMTP_SESSIONS, NULL, NULL, {"protocol", "lmtp"}) \
	X(SMTP_SESSIONS, NULL, NULL, {"protocol", "smtp"}) \
	X(NET_IN, "restante_session_received_bytes_total", \
	  "Octets from clients, inside TLS; added when a session ends.", {NULL, NULL}) \
	X(NET_OUT, "restante_session_sent_bytes_total", \
	  "Octets to clients, inside TLS; added when a session ends.", {NULL, NULL}) \
	X(BAD_COMMAND, "restante_bad_commands_total", "Commands nobody understands.", \
	  {NULL, NULL}) \
	X(TLS12, "restante_tls_handshakes_total", "TLS handshakes by result and version.", \
	  {"result", "completed"}, {"version", "1.2"}) \
	X(TLS13, NULL, NULL, {"result", "completed"}, {"version", "1.3"}) \
	X(TLS_FAILED, NULL, NULL, {"result", "failed"}, {"version", "none"}) \
	X(LOGIN_OK, "restante_logins_total", \
	  "POP3 logins by result: accepted; denied; backend_failed, accounts or mailbox could " \
	  "not be asked; in_use, the mailbox is another session's.", \
	  {"result", "accepted"}) \
	X(LOGIN_DENIED, NULL, NULL, {"result", "denied"}) \
	X(LOGIN_TEMP, NULL, NULL, {"result", "backend_failed"}) \
	X(IN_USE, NULL, NULL, {"result", "in_use"}) \
	X(TAKEOVER, "restante_takeovers_total", \
	  "Silent sessions that lost their mailbox to a newcomer.", {NULL, NULL}) \
	X(CACHE_ACCEPTED, "restante_credential_cache_lookups_total", \
	  "Credential caches by what they knew.", {"result", "accepted"}) \
	X(CACHE_REFUSED, NULL, NULL, {"result", "refused"}) \
	X(CACHE_MISSED, NULL, NULL, {"result", "unknown"}) \
	X(LAST_GOOD, "restante_last_known_good_logins_total", \
	  "Users who came in while their auth section could not be asked.", {NULL, NULL}) \
	X(RETRIEVED, "restante_messages_retrieved_total", "Messages sent whole by RETR.", \
	  {NULL, NULL}) \
	X(OCTETS_OUT, "restante_retrieved_bytes_total", "Their octets, before dot-stuffing.", \
	  {NULL, NULL}) \
	X(COMMIT_OK, "restante_commits_total", \
	  "QUITs with deletions by result: ok; partial; unknown, whether it happened; failed, " \
	  "nothing was deleted.", \
	  {"result", "ok"}) \
	X(COMMIT_PARTIAL, NULL, NULL, {"result", "partial"}) \
	X(COMMIT_UNKNOWN, NULL, NULL, {"result", "unknown"}) \
	X(COMMIT_FAILED, NULL, NULL, {"result", "failed"}) \
	X(DELETED, "restante_messages_deleted_total", "Messages deleted by QUITs.", {NULL, NULL}) \
	X(QUIT_WITHOUT, "restante_sessions_without_quit_total", \
	  "Sessions that ended with deletions and without QUIT: nothing was deleted.", \
	  {NULL, NULL}) \
	X(READ_ERROR, "restante_read_errors_total", \
	  "Connections dropped because a store could not be read.", {NULL, NULL}) \
	X(SIZE_MISMATCH, "restante_size_mismatches_total", \
	  "Messages whose octets were not as many as announced.", {NULL, NULL}) \
	X(MAILS, "restante_delivery_messages_total", \
	  "Messages that came in by LMTP or SMTP, whatever became of them.", {NULL, NULL}) \
	X(OCTETS_IN, "restante_delivery_received_bytes_total", "Their octets.", {NULL, NULL}) \
	X(RCPTS_ACCEPTED, "restante_delivery_recipients_total", "RCPT commands by result.", \
	  {"result", "accepted"}) \
	X(RCPTS_DEFERRED, NULL, NULL, {"result", "deferred"}) \
	X(RCPTS_REFUSED, NULL, NULL, {"result", "refused"}) \
	X(MAILS_ACCEPTED, "restante_delivery_copies_total", \
	  "Replies to senders after the message, one for each recipient.", {"result", "accepted"}) \
	X(MAILS_DEFERRED, NULL, NULL, {"result", "deferred"}) \
	X(MAILS_REFUSED, NULL, NULL, {"result", "refused"}) \
	X(KEPT_RETRY, "restante_badmail_kept_total", "Items this server put into Badmail.", \
	  {"class", "retry"}) \
	X(KEPT_REFUSED, NULL, NULL, {"class", "refused"}) \
	X(DOOR_CLOSED, "restante_badmail_door_closed_total", \
	  "Times mail was not accepted because too much waits already.", {NULL, NULL}) \
	X(RETRY_DELIVERED, "restante_badmail_retries_total", \
	  "Tries to deliver an item of Badmail, by result.", {"result", "delivered"}) \
	X(RETRY_FAILED, NULL, NULL, {"result", "failed"}) \
	X(UNDO_MOVED, "restante_undo_moved_messages_total", \
	  "Deleted messages that were moved to the undo storage.", {NULL, NULL}) \
	X(UNDO_FAILED, "restante_undo_failed_moves_total", \
	  "Moves to the undo storage that failed: the mail stays hidden where it is, and is " \
	  "tried " \
	  "again.", \
	  {NULL, NULL}) \
	X(RELOADED, "restante_reloads_total", "Configurations read again, by result.", \
	  {"result", "ok"}) \
	X(RELOAD_FAILED, NULL, NULL, {"result", "failed"})

#define STAT_ID(id, ...) STAT_##id,
enum stat_id { STATS(STAT_ID) STAT_MAX };

#define STAT_LABELS 2
#define STAT_NAME_MAX 80

struct stat_row {
	const char *family; /* NULL: that of the row above */
	const char *help;
	struct {
		const char *key, *value; /* NULL: none */
	} labels[STAT_LABELS];
};

void stat_add(enum stat_id id, uint64_t n);
uint64_t stat_get(enum stat_id id);

const struct stat_row *stat_row(enum stat_id id);
/* Its name in restantectl status, in buf. */
const char *stat_name(enum stat_id id, char buf[STAT_NAME_MAX]);

#endif
