/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answers - the fields of every answer on the control socket, each written here and nowhere else:
 * F(key, type, unit, title). Of each table X the preprocessor makes `struct answer_x` with a member
 * for each key, and `answers_x`, the description of it (field.h):
 *
 *	struct answer_kick k = {.kicked = n};
 *
 *	ANSWER_PUT(o, kick, &k);           in the server
 *	ANSWER_GET(answer, kick, &k);      in restantectl
 *
 * restantectl prints the fields with a title in the order of the table: a row's as columns, others
 * as lines. Several tables may make up one object: those whose fields come and go together are a
 * table. restantectl(8) names all of them, and tests/unit/answer_test.c sees to that: a new field
 * is a line here and one there.
 */
#ifndef RST_ANSWER_ANSWERS_H
#define RST_ANSWER_ANSWERS_H

#include "answer/field.h"

/* ---- every verb ------------------------------------------------------------------------------ */

#define ANSWER_OUTCOME(F) \
	F(ok, YESNO, NONE, "") \
	F(error, TEXT, NONE, "") \
	F(errors, TEXT, NONE, "")

/* ---- status, metrics, sessions, kick --------------------------------------------------------- */

#define ANSWER_STATUS(F) \
	F(version, TEXT, NONE, "version") \
	F(pid, NUMBER, NONE, "pid") \
	F(uptime_s, NUMBER, S, "uptime_s") \
	F(configuration, TEXT, NONE, "configuration") \
	F(configuration_serial, NUMBER, NONE, "configuration_serial") \
	F(workers, NUMBER, NONE, "workers") \
	F(connections, NUMBER, NONE, "connections") \
	F(logged_in, NUMBER, NONE, "logged_in") \
	F(queue_depth, NUMBER, NONE, "queue_depth") \
	F(queue_head_age_ms, NUMBER, MS, "queue_head_age_ms") \
	F(calls, NUMBER, NONE, "calls") \
	F(calls_overdue, NUMBER, NONE, "calls_overdue") \
	F(log_lines_dropped, NUMBER, NONE, "log_lines_dropped") \
	F(certificate_not_after, NONZERO, DATE, "certificate valid until") \
	F(sessions, OBJECT, NONE, "sessions") \
	F(door, OBJECT, NONE, "door") \
	F(counters, OBJECT, NONE, "counters")

#define ANSWER_PLACES(F) \
	F(parked, NUMBER, NONE, "parked") \
	F(queued, NUMBER, NONE, "queued") \
	F(gated, NUMBER, NONE, "gated") \
	F(running, NUMBER, NONE, "running")

#define ANSWER_DOOR(F) \
	F(accepted, NUMBER, NONE, "accepted") \
	F(refused_total, NUMBER, NONE, "refused_total") \
	F(refused_address, NUMBER, NONE, "refused_address") \
	F(shed, NUMBER, NONE, "shed") \
	F(out_of_files, NUMBER, NONE, "out_of_files") \
	F(pushed_out, NUMBER, NONE, "pushed_out")

#define ANSWER_METRICS(F) F(text, TEXT, NONE, "")

#define ANSWER_SESSIONS(F) F(sessions, LIST, NONE, "")

#define ANSWER_SESSION(F) \
	F(id, NUMBER, NONE, "ID") \
	F(user, TEXT, NONE, "USER") \
	F(state, TEXT, NONE, "STATE") \
	F(where, TEXT, NONE, "WHERE") \
	F(tls, TEXT, NONE, "TLS") \
	F(age_s, NUMBER, S, "AGE") \
	F(idle_s, NUMBER, S, "IDLE") \
	F(messages, NUMBER, NONE, "MSGS") \
	F(deleted_pending, NUMBER, NONE, "DELE") \
	F(octets_out, NUMBER, OCTETS, "OCTETS") \
	F(peer, TEXT, NONE, "PEER")

#define ANSWER_KICK(F) F(kicked, NUMBER, NONE, "")

/* ---- modules --------------------------------------------------------------------------------- */

#define ANSWER_MODULES(F) \
	F(modules, LIST, NONE, "") \
	F(calls, LIST, NONE, "")

#define ANSWER_MODULE(F) \
	F(kind, TEXT, NONE, "KIND") \
	F(section, TEXT, NONE, "SECTION") \
	F(module, TEXT, NONE, "MODULE") \
	F(version, TEXT, NONE, "VERSION") \
	F(path, TEXT, NONE, "") \
	F(counters, OBJECT, NONE, "")

/* Of a section that is asked directly: not of one that another section wraps. */
#define ANSWER_MODULE_GATE(F) \
	F(gate, TEXT, NONE, "") \
	F(permits, NUMBER, NONE, "PERMITS") \
	F(in_use, NUMBER, NONE, "USED") \
	F(waiting, NUMBER, NONE, "WAIT") \
	F(breaker, TEXT, NONE, "BREAKER") \
	F(calls, NUMBER, NONE, "CALLS") \
	F(refused, NUMBER, NONE, "REFUSED") \
	F(timeouts, NUMBER, NONE, "") \
	F(failures, NUMBER, NONE, "FAILED") \
	F(trips, NUMBER, NONE, "") \
	F(overdue, NUMBER, NONE, "OVERDUE") \
	F(average_us, NUMBER, US, "AVG us") \
	F(slowest_ms, NUMBER, MS, "MAX ms")

#define ANSWER_MODULE_CACHE(F) \
	F(cached, NUMBER, NONE, "CACHED") \
	F(cached_refusals, NUMBER, NONE, "") \
	F(cache_size, NUMBER, NONE, "")

#define ANSWER_CALL(F) \
	F(gate, TEXT, NONE, "IN") \
	F(method, TEXT, NONE, "METHOD") \
	F(session, NUMBER, NONE, "SESSION") \
	F(for_ms, NUMBER, MS, "FOR ms") \
	F(overdue, YESNO, NONE, "OVERDUE")

/* ---- user, auth test ------------------------------------------------------------------------- */

#define ANSWER_USER(F) \
	F(name, TEXT, NONE, "") \
	F(chain, LIST, NONE, "") \
	F(result, TEXT, NONE, "result")

#define ANSWER_AUTH(F) \
	F(name, TEXT, NONE, "") \
	F(password, TEXT, NONE, "") \
	F(chain, LIST, NONE, "") \
	F(accepted, YESNO, NONE, "") \
	F(reply, TEXT, NONE, "reply") \
	F(result, TEXT, NONE, "result")

#define ANSWER_STEP(F) \
	F(section, TEXT, NONE, "") \
	F(answer, TEXT, NONE, "") \
	F(detail, TEXT, NONE, "") \
	F(code, TEXT, NONE, "") \
	F(cache, TEXT, NONE, "") \
	F(last_known_good, TEXT, NONE, "")

#define ANSWER_STEP_TIME(F) F(ms, NUMBER, MS, "")

#define ANSWER_ACCOUNT(F) \
	F(user, TEXT, NONE, "user") \
	F(state, TEXT, NONE, "state") \
	F(rights, TEXT, NONE, "rights") \
	F(pop3, YESNO, NONE, "") \
	F(delete, YESNO, NONE, "") \
	F(quota_octets, NONZERO, OCTETS, "quota_octets") \
	F(quota_messages, NONZERO, NONE, "quota_messages") \
	F(valid_until, NONZERO, DATE, "valid_until") \
	F(password_label, TEXT, NONE, "password_label") \
	F(key, TEXT, NONE, "key") \
	F(home, TEXT, NONE, "home") \
	F(storage, TEXT, NONE, "storage")

#define ANSWER_MAILBOX(F) \
	F(open, YESNO, NONE, "open") \
	F(mailbox, TEXT, NONE, "mailbox")

#define ANSWER_CONTENT(F) \
	F(messages, NUMBER, NONE, "messages") \
	F(octets, NUMBER, OCTETS, "octets") \
	F(last_delivery, NUMBER, DATE, "last_delivery")

/* ---- volumes --------------------------------------------------------------------------------- */

#define ANSWER_VOLUMES(F) F(volumes, LIST, NONE, "")

#define ANSWER_VOLUME(F) \
	F(volume, TEXT, NONE, "VOLUME") \
	F(state, TEXT, NONE, "STATE") \
	F(octets, NUMBER, SIZE, "SIZE") \
	F(available, NUMBER, SIZE, "FREE") \
	F(reserve, NUMBER, SIZE, "RESERVE") \
	F(reserve_file, NUMBER, SIZE, "RESERVE FILE") \
	F(refused, NUMBER, NONE, "REFUSED") \
	F(path, TEXT, NONE, "PATH") \
	F(mount, TEXT, NONE, "") \
	F(inodes, NUMBER, NONE, "") \
	F(inodes_free, NUMBER, NONE, "") \
	F(released, NUMBER, NONE, "") \
	F(detail, NOTE, NONE, "detail")

/* ---- clock ----------------------------------------------------------------------------------- */

#define ANSWER_CLOCK(F) \
	F(believed, YESNO, NONE, "believed") \
	F(wall, NUMBER, DATE, "wall clock") \
	F(expected, NUMBER, DATE, "expected") \
	F(steady_s, NUMBER, S, "steady for")

/* ---- expire, undelete, quota: jobs ----------------------------------------------------------- */

/* The request started a job; `job` asks for its report until it is done. */
#define ANSWER_STARTED(F) F(job, NUMBER, NONE, "")

#define ANSWER_JOB(F) \
	F(job, NUMBER, NONE, "") \
	F(kind, TEXT, NONE, "") \
	F(user, TEXT, NONE, "") \
	F(domain, TEXT, NONE, "") \
	F(dry_run, YESNO, NONE, "") \
	F(done, YESNO, NONE, "") \
	F(succeeded, YESNO, NONE, "") \
	F(started_ms, NUMBER, DATE_MS, "") \
	F(ended_ms, NUMBER, DATE_MS, "") \
	F(mailboxes, NUMBER, NONE, "") \
	F(without_account, NUMBER, NONE, "") \
	F(busy, NUMBER, NONE, "") \
	F(failed, NUMBER, NONE, "") \
	F(messages, NUMBER, NONE, "") \
	F(octets, NUMBER, OCTETS, "") \
	F(detail, TEXT, NONE, "")

#define ANSWER_EXPIRE(F) F(unmarked, NUMBER, NONE, "")

#define ANSWER_UNDELETE(F) F(hidden, LIST, NONE, "")

#define ANSWER_HIDDEN(F) \
	F(received_ms, NUMBER, DATE_MS, "RECEIVED (UTC)") \
	F(first_retrieved_ms, NUMBER, DATE_MS, "RETRIEVED (UTC)") \
	F(octets, NUMBER, OCTETS, "OCTETS") \
	F(uidl, TEXT, NONE, "UNIQUE-ID")

#define ANSWER_USAGE(F) \
	F(used_octets, NUMBER, OCTETS, "") \
	F(used_messages, NUMBER, NONE, "") \
	F(quota_octets, NUMBER, OCTETS, "") \
	F(quota_messages, NUMBER, NONE, "") \
	F(hidden_messages, NUMBER, NONE, "") \
	F(hidden_octets, NUMBER, OCTETS, "") \
	F(storage, TEXT, NONE, "")

#define ANSWER_DOMAIN(F) \
	F(user_domain, TEXT, NONE, "") \
	F(domain_quota_octets, NUMBER, OCTETS, "") \
	F(domain_quota_messages, NUMBER, NONE, "") \
	F(counted_by, TEXT, NONE, "")

#define ANSWER_DOMAIN_USAGE(F) \
	F(domain_used_octets, NUMBER, OCTETS, "") \
	F(domain_used_messages, NUMBER, NONE, "") \
	F(domain_doubtful, YESNO, NONE, "")

#define ANSWER_DOMAIN_FILE(F) F(under_way, NUMBER, NONE, "")

/* ---- badmail --------------------------------------------------------------------------------- */

#define ANSWER_BADMAIL_PAGE(F) \
	F(read, NUMBER, NONE, "") \
	F(next, TEXT, NONE, "")

#define ANSWER_BADMAIL_LIST(F) F(items, LIST, NONE, "")

/* An item is its sidecar and its ID, which is the sidecar's name. */
#define ANSWER_BADMAIL_ID(F) F(id, TEXT, NONE, "ID")

#define ANSWER_BADMAIL_ITEM(F) \
	F(class, TEXT, NONE, "CLASS") \
	F(time_ms, NUMBER, DATE_MS, "TIME (UTC)") \
	F(octets, NUMBER, OCTETS, "OCTETS") \
	F(code, TEXT, NONE, "CODE") \
	F(reason, TEXT, NONE, "REASON") \
	F(sender, TEXT, NONE, "") \
	F(recipients, LIST, NONE, "") \
	F(names, LIST, NONE, "") \
	F(detail, TEXT, NONE, "") \
	F(source, TEXT, NONE, "") \
	F(peer, TEXT, NONE, "") \
	F(helo, TEXT, NONE, "") \
	F(utf8, YESNO, NONE, "") \
	F(tries, NUMBER, NONE, "") \
	F(next_ms, NUMBER, DATE_MS, "") \
	F(last_try_ms, NONZERO, DATE_MS, "") \
	F(last_error, TEXT, NONE, "") \
	F(delivered, LIST, NONE, "") \
	F(key, TEXT, NONE, "") \
	F(version, NUMBER, NONE, "")

#define ANSWER_BADMAIL_SHOW(F) \
	F(item, OBJECT, NONE, "") \
	F(file, TEXT, NONE, "") \
	F(head, TEXT, NONE, "")

#define ANSWER_BADMAIL_STATS(F) \
	F(totals, OBJECT, NONE, "") \
	F(groups, LIST, NONE, "")

#define ANSWER_BADMAIL_TOTALS(F) \
	F(retry_items, NUMBER, NONE, "") \
	F(retry_octets, NUMBER, OCTETS, "") \
	F(refused_items, NUMBER, NONE, "") \
	F(refused_octets, NUMBER, OCTETS, "") \
	F(max_items, NUMBER, NONE, "") \
	F(max_octets, NUMBER, OCTETS, "") \
	F(dropped, NUMBER, NONE, "") \
	F(dropped_octets, NUMBER, OCTETS, "") \
	F(expired, NUMBER, NONE, "") \
	F(crowded, NUMBER, NONE, "") \
	F(delivered, NUMBER, NONE, "") \
	F(door_closed, NUMBER, NONE, "")

#define ANSWER_BADMAIL_GROUP(F) \
	F(class, TEXT, NONE, "CLASS") \
	F(items, NUMBER, NONE, "ITEMS") \
	F(octets, NUMBER, OCTETS, "OCTETS") \
	F(first_ms, NUMBER, DATE_MS, "FIRST (UTC)") \
	F(last_ms, NUMBER, DATE_MS, "LAST (UTC)") \
	F(reason, TEXT, NONE, "") \
	F(code, TEXT, NONE, "") \
	F(sender_domain, TEXT, NONE, "")

#define ANSWER_BADMAIL_RETRY(F) \
	F(asked, NUMBER, NONE, "") \
	F(delivered, NUMBER, NONE, "") \
	F(failed, NUMBER, NONE, "") \
	F(working, NUMBER, NONE, "")

#define ANSWER_BADMAIL_PURGE(F) \
	F(purged, NUMBER, NONE, "") \
	F(missing, NUMBER, NONE, "")

/* ---- all of them ----------------------------------------------------------------------------- */

/* A(name, heading, fields). Tables of one heading make up one object. */
#define ANSWERS(A) \
	A(outcome, "every verb", ANSWER_OUTCOME) \
	A(status, "status", ANSWER_STATUS) \
	A(places, "status .sessions", ANSWER_PLACES) \
	A(door, "status .door", ANSWER_DOOR) \
	A(metrics, "metrics", ANSWER_METRICS) \
	A(sessions, "sessions", ANSWER_SESSIONS) \
	A(session, "sessions .sessions[]", ANSWER_SESSION) \
	A(kick, "kick", ANSWER_KICK) \
	A(modules, "modules", ANSWER_MODULES) \
	A(module, "modules .modules[]", ANSWER_MODULE) \
	A(module_gate, "modules .modules[]", ANSWER_MODULE_GATE) \
	A(module_cache, "modules .modules[]", ANSWER_MODULE_CACHE) \
	A(call, "modules .calls[]", ANSWER_CALL) \
	A(user, "user, auth test", ANSWER_USER) \
	A(auth, "user, auth test", ANSWER_AUTH) \
	A(step, "user, auth test .chain[]", ANSWER_STEP) \
	A(step_time, "user, auth test .chain[]", ANSWER_STEP_TIME) \
	A(account, "user, auth test", ANSWER_ACCOUNT) \
	A(mailbox, "user, auth test", ANSWER_MAILBOX) \
	A(content, "user, auth test", ANSWER_CONTENT) \
	A(volumes, "volumes", ANSWER_VOLUMES) \
	A(volume, "volumes .volumes[]", ANSWER_VOLUME) \
	A(clock, "clock", ANSWER_CLOCK) \
	A(started, "expire, undelete, quota", ANSWER_STARTED) \
	A(job, "expire, undelete, quota", ANSWER_JOB) \
	A(expire, "expire", ANSWER_EXPIRE) \
	A(undelete, "undelete", ANSWER_UNDELETE) \
	A(hidden, "undelete .hidden[]", ANSWER_HIDDEN) \
	A(usage, "quota", ANSWER_USAGE) \
	A(domain, "quota", ANSWER_DOMAIN) \
	A(domain_usage, "quota", ANSWER_DOMAIN_USAGE) \
	A(domain_file, "quota", ANSWER_DOMAIN_FILE) \
	A(badmail_page, "badmail", ANSWER_BADMAIL_PAGE) \
	A(badmail_list, "badmail list", ANSWER_BADMAIL_LIST) \
	A(badmail_show, "badmail show", ANSWER_BADMAIL_SHOW) \
	A(badmail_id, "badmail list .items[], badmail show .item", ANSWER_BADMAIL_ID) \
	A(badmail_item, "badmail list .items[], badmail show .item", ANSWER_BADMAIL_ITEM) \
	A(badmail_stats, "badmail stats", ANSWER_BADMAIL_STATS) \
	A(badmail_totals, "badmail stats .totals", ANSWER_BADMAIL_TOTALS) \
	A(badmail_group, "badmail stats .groups[]", ANSWER_BADMAIL_GROUP) \
	A(badmail_retry, "badmail retry", ANSWER_BADMAIL_RETRY) \
	A(badmail_purge, "badmail purge", ANSWER_BADMAIL_PURGE)

#define ANSWER_C_TEXT const char *
#define ANSWER_C_NOTE const char *
#define ANSWER_C_NUMBER uint64_t
#define ANSWER_C_NONZERO uint64_t
#define ANSWER_C_YESNO bool
#define ANSWER_C_OBJECT json_t *
#define ANSWER_C_LIST json_t *
#define ANSWER_MEMBER(key, type, unit, title) _Alignas(FIELD_PLACE) ANSWER_C_##type key;
#define ANSWER_DECLARE(name, heading, table) \
	struct answer_##name { \
		table(ANSWER_MEMBER) \
	}; \
	extern const struct fields answers_##name;

ANSWERS(ANSWER_DECLARE)

#define ANSWER_PUT(o, name, values) \
	fields_put((o), &answers_##name, (const struct answer_##name *){(values)})
#define ANSWER_GET(o, name, ret_values) \
	fields_get((o), &answers_##name, (struct answer_##name *){(ret_values)})

/* {"ok": true}, for an answer to grow from; a new reference. */
json_t *answers_new(void);
/* {"ok": false, "error": TEXT}; a new reference. */
json_t *answers_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
