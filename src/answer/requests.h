/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests - the verbs of the control socket and the keys each of them takes, written here and
 * nowhere else: a verb or a key that is misspelt does not compile, neither here nor there.
 *
 *	json_t *r = requests_new(&request_kick);          in restantectl
 *	REQUEST_PUT(r, user, json_string(name));
 *
 *	const char *name = REQUEST_TEXT(request, user);   in the server
 *
 * The server checks each request by its row: a key that the verb does not take, or of another type,
 * is refused, because "dryrun" in place of "dry_run" would delete. tests/live/verbs.py sees to it
 * that restantectl sends all of these, and that restantectl(8) has them. Pure but for memory.
 */
#ifndef RST_ANSWER_REQUESTS_H
#define RST_ANSWER_REQUESTS_H

#include "answer/field.h"

/* ---- keys ------------------------------------------------------------------------------------ */

/* Filters of badmail; in an item they have the same names, but for the dates. */
#define REQUEST_FILTERS(K) \
	K(class, TEXT) \
	K(reason, TEXT) \
	K(code, TEXT) \
	K(sender, TEXT) \
	K(sender_domain, TEXT) \
	K(recipient, TEXT) \
	K(source, TEXT) \
	K(since_ms, NUMBER) \
	K(before_ms, NUMBER)

/* K(key, type): a key has one type, whatever the verb. */
#define REQUEST_KEYS(K) \
	K(verb, TEXT) \
	K(action, TEXT) \
	K(id, NUMBER) \
	K(user, TEXT) \
	K(name, TEXT) \
	K(domain, TEXT) \
	K(peer, TEXT) \
	K(password_base64, TEXT) \
	K(dry_run, YESNO) \
	K(unmarked, YESNO) \
	K(recount, YESNO) \
	K(uidls, LIST) \
	K(job, NUMBER) \
	K(ids, LIST) \
	K(limit, NUMBER) \
	K(after, TEXT) \
	K(accept, YESNO) \
	REQUEST_FILTERS(K)

struct request_key {
	const char *name;
	enum field_type type; /* TEXT, NUMBER, YESNO or LIST */
};

#define REQUEST_KEY_DECLARE(key, type) extern const struct request_key request_key_##key;
REQUEST_KEYS(REQUEST_KEY_DECLARE)

/* ---- verbs ----------------------------------------------------------------------------------- */

/* R(name, verb, action, keys besides these two). TAKES is requests.c's. */
#define REQUESTS(R) \
	R(status, "status", NULL, ) \
	R(metrics, "metrics", NULL, ) \
	R(sessions, "sessions", NULL, TAKES(user)) \
	R(kick, "kick", NULL, TAKES(id) TAKES(user)) \
	R(modules, "modules", NULL, ) \
	R(user, "user", NULL, TAKES(name)) \
	R(auth_test, "auth-test", NULL, TAKES(name) TAKES(peer) TAKES(password_base64)) \
	R(forget, "forget", NULL, TAKES(name)) \
	R(reload, "reload", NULL, ) \
	R(drain, "drain", NULL, ) \
	R(volumes, "volumes", NULL, ) \
	R(clock, "clock", NULL, TAKES(accept)) \
	R(quota, "quota", NULL, TAKES(user) TAKES(domain) TAKES(recount)) \
	R(expire, "expire", NULL, TAKES(user) TAKES(domain) TAKES(dry_run) TAKES(unmarked)) \
	R(undelete, "undelete", NULL, TAKES(user) TAKES(uidls) TAKES(dry_run)) \
	R(job, "job", NULL, TAKES(job)) \
	R(badmail_list, "badmail", "list", TAKES(limit) TAKES(after) TAKES_FILTERS) \
	R(badmail_stats, "badmail", "stats", TAKES(after) TAKES_FILTERS) \
	R(badmail_retry, "badmail", "retry", TAKES(ids) TAKES(after) TAKES_FILTERS) \
	R(badmail_purge, "badmail", "purge", TAKES(ids) TAKES(after) TAKES_FILTERS) \
	R(badmail_show, "badmail", "show", TAKES(ids)) \
	R(log_reopen, "log-reopen", NULL, )

struct request {
	const char *verb, *action;             /* action: NULL: the verb has none */
	const struct request_key *const *keys; /* NULL ends them */
};

#define REQUEST_DECLARE(name, verb, action, keys) extern const struct request request_##name;
REQUESTS(REQUEST_DECLARE)

/* ---- restantectl's side ---------------------------------------------------------------------- */

/* {"verb": ...}; a new reference. */
json_t *requests_new(const struct request *r);
/* Takes the value over. */
#define REQUEST_PUT(o, key, value) json_object_set_new((o), request_key_##key.name, (value))
#define REQUEST_DEL(o, key) ((void)json_object_del((o), request_key_##key.name))

/* ---- the server's side ----------------------------------------------------------------------- */

/* NULL: there is no such verb, or no such action of it. */
const struct request *requests_find(const json_t *o);
/* Has it only keys that its verb takes, each of its type? False: `text` says which is wrong. */
#define REQUESTS_TEXT_MAX 200
bool requests_check(const struct request *r, const json_t *o, char text[REQUESTS_TEXT_MAX]);

/* ---- both ------------------------------------------------------------------------------------ */

#define REQUEST_GET(o, key) json_object_get((o), request_key_##key.name)
/* NULL: it is not there. */
#define REQUEST_TEXT(o, key) json_string_value(REQUEST_GET((o), key))
#define REQUEST_YES(o, key) json_is_true(REQUEST_GET((o), key))

#endif
