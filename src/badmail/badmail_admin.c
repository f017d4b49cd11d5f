/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restantectl badmail. Every request is one page: it reads at most READ_MAX sidecars, reports how
 * many that were ("read"), and where to go on ("next", absent at the end); restantectl asks again
 * until it has enough. So nothing here takes long, however many items there are.
 *
 *   {"verb": "badmail", "action": "list" | "stats" | "retry" | "purge" | "show",
 *    "limit": N,  "after": ID,                     a page, or
 *    "ids": [ID, ...],                             these items
 *    "class": "retry" | "refused",                 filters: the whole text
 *    "reason": TEXT,  "code": TEXT,  "source": TEXT,
 *    "sender_domain": TEXT,  "sender": TEXT,  "recipient": TEXT,
 *    "before_ms": UTC,  "since_ms": UTC}
 *
 *   list   {"items": [{"id", "class", "time_ms", "sender", "recipients", "reason", "code",
 *          "octets", ...}], ...}
 *   stats  {"totals": {...}, "groups": [{"class", "reason", "code", "sender_domain", "items",
 *          "octets", "first_ms", "last_ms"}], ...}  the groups of this page, to be added up
 *   retry  {"delivered": N, "failed": N, "working": N, ...}
 *   purge  {"purged": N, ...}
 *   show   {"item": {...}, "file": PATH, "head": TEXT}
 */
#include "badmail/badmail_admin.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "badmail/badmail_item.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_retry.h"
#include "badmail/badmail_store.h"

#define READ_MAX 1000
#define LIMIT_MAX 1000
#define RETRY_AT_ONCE 4
#define RETRY_WAIT_MS 10000
#define HEAD_MAX 16384

struct page {
	struct conf *c;
	const json_t *request;
	struct badmail_state s;
	enum badmail_class cls; /* in which the next item is looked for */
	uint64_t id;
	bool end;
	unsigned read; /* sidecars */
	bool both;     /* no class was asked for: REFUSED follows RETRY */
};

static const char *
badmail_admin_wish(const struct page *p, const char *key)
{
	return json_string_value(json_object_get(p->request, key));
}

static json_t *
badmail_admin_error(const char *text)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

/* ---- filters --------------------------------------------------------------------------------- */

static bool
has_recipient(const json_t *j, const char *who)
{
	const json_t *x;
	size_t i;

	json_array_foreach(json_object_get(j, "recipients"), i,
			   x) if (strcasecmp(json_string_value(x), who) == 0) return true;
	return false;
}

static bool
badmail_admin_fits(const struct page *p, const json_t *j)
{
	static const char *const keys[] = {"reason", "code", "source"};
	json_int_t when = json_integer_value(json_object_get(j, "time_ms"));
	const json_t *before = json_object_get(p->request, "before_ms"),
		     *since = json_object_get(p->request, "since_ms");
	char domain[256];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (badmail_admin_wish(p, keys[i]) &&
		    strcmp(badmail_admin_wish(p, keys[i]), badmail_item_text(j, keys[i])) != 0)
			return false;
	badmail_item_sender_domain(j, domain, sizeof(domain));
	if (badmail_admin_wish(p, "sender_domain") &&
	    strcasecmp(badmail_admin_wish(p, "sender_domain"), domain) != 0)
		return false;
	if (badmail_admin_wish(p, "sender") &&
	    strcasecmp(badmail_admin_wish(p, "sender"), badmail_item_text(j, "sender")) != 0)
		return false;
	if (badmail_admin_wish(p, "recipient") &&
	    !has_recipient(j, badmail_admin_wish(p, "recipient")))
		return false;
	return (!before || when < json_integer_value(before)) &&
	       (!since || when >= json_integer_value(since));
}

/* ---- pages ----------------------------------------------------------------------------------- */

static bool
page_begin(struct page *p, struct conf *c, const json_t *request, char *text)
{
	const char *cls;
	struct badmail_store st;

	*p = (struct page){.c = c, .request = request};
	cls = badmail_admin_wish(p, "class");
	p->both = !cls;
	p->cls = cls && strcmp(cls, "refused") == 0 ? BADMAIL_REFUSED : BADMAIL_RETRY;
	if (badmail_admin_wish(p, "after") &&
	    !badmail_id_parse(badmail_admin_wish(p, "after"), &p->cls, &p->id)) {
		snprintf(text, 200, "'%.40s' is no item's ID", badmail_admin_wish(p, "after"));
		return false;
	}
	p->id += badmail_admin_wish(p, "after") != NULL;
	if (badmail_store_lock(c, &st, text) != PM_OK)
		return false;
	(void)badmail_store_unlock(&st);
	p->s = st.s;
	return true;
}

/* The next item that fits; NULL: there is none in this page. p->cls and *ret_id name it. */
static json_t *
page_next(struct page *p, uint64_t *ret_id)
{
	while (p->read < READ_MAX) {
		uint64_t first = p->s.cls[p->cls].first;
		json_t *j;

		if (p->s.cls[p->cls].items == 0 ||
		    !badmail_place_next(&p->c->badmail, p->cls, p->id > first ? p->id : first,
					p->s.next_id, ret_id)) {
			if (!p->both || p->cls == BADMAIL_REFUSED) {
				p->end = true;
				return NULL;
			}
			p->cls = BADMAIL_REFUSED;
			p->id = 0;
			continue;
		}
		p->id = *ret_id + 1;
		j = badmail_item_load(&p->c->badmail, p->cls, *ret_id);
		p->read++;
		if (j && badmail_admin_fits(p, j))
			return j;
		json_decref(j);
	}
	return NULL;
}

static json_t *
page_end(struct page *p, json_t *o)
{
	char id[17];

	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "read", json_integer(p->read));
	if (!p->end) {
		badmail_id_format(p->cls, p->id - 1, id);
		json_object_set_new(o, "next", json_string(p->id > 0 ? id : "x0"));
	}
	return o;
}

static unsigned
limit_of(const struct page *p, unsigned most)
{
	json_int_t n = json_integer_value(json_object_get(p->request, "limit"));

	return n > 0 && n < most ? (unsigned)n : most;
}

static json_t *
with_id(json_t *j, enum badmail_class cls, uint64_t id)
{
	char text[17];

	badmail_id_format(cls, id, text);
	json_object_set_new(j, "id", json_string(text));
	return j;
}

/* ---- list, stats ----------------------------------------------------------------------------- */

static json_t *
do_list(struct page *p)
{
	json_t *o = json_object(), *items = json_array(), *j;
	unsigned n = 0, limit = limit_of(p, LIMIT_MAX);
	uint64_t id;

	while (n < limit && (j = page_next(p, &id)) != NULL) {
		json_array_append_new(items, with_id(j, p->cls, id));
		n++;
	}
	json_object_set_new(o, "items", items);
	return page_end(p, o);
}

static void
add_to(json_t *o, const char *key, json_int_t v)
{
	json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + v));
}

/* groups: "class\nreason\ncode\ndomain" -> sums */
static void
badmail_admin_group(json_t *groups, const json_t *j)
{
	json_int_t when = json_integer_value(json_object_get(j, "time_ms"));
	char domain[256];
	json_t *key, *g;

	badmail_item_sender_domain(j, domain, sizeof(domain));
	key = json_sprintf("%s\n%s\n%s\n%s", badmail_item_text(j, "class"),
			   badmail_item_text(j, "reason"), badmail_item_text(j, "code"), domain);
	if (!key)
		return;
	g = json_object_get(groups, json_string_value(key));
	if (!g) {
		g = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "class",
			      badmail_item_text(j, "class"), "reason",
			      badmail_item_text(j, "reason"), "code", badmail_item_text(j, "code"),
			      "sender_domain", domain, "first_ms", when, "last_ms", when);
		json_object_set_new(groups, json_string_value(key), g);
	}
	json_decref(key);
	add_to(g, "items", 1);
	add_to(g, "octets", json_integer_value(json_object_get(j, "octets")));
	if (when < json_integer_value(json_object_get(g, "first_ms")))
		json_object_set_new(g, "first_ms", json_integer(when));
	if (when > json_integer_value(json_object_get(g, "last_ms")))
		json_object_set_new(g, "last_ms", json_integer(when));
}

static json_t *
totals_json(const struct page *p)
{
	const struct badmail_state *s = &p->s;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "retry_items", (json_int_t)s->cls[BADMAIL_RETRY].items, "retry_octets",
			 (json_int_t)s->cls[BADMAIL_RETRY].octets, "refused_items",
			 (json_int_t)s->cls[BADMAIL_REFUSED].items, "refused_octets",
			 (json_int_t)s->cls[BADMAIL_REFUSED].octets, "max_items",
			 (json_int_t)p->c->badmail.max_items, "max_octets",
			 (json_int_t)p->c->badmail.max_octets, "dropped", (json_int_t)s->dropped,
			 "dropped_octets", (json_int_t)s->dropped_octets, "expired",
			 (json_int_t)s->expired, "crowded", (json_int_t)s->crowded, "delivered",
			 (json_int_t)s->delivered, "door_closed", (json_int_t)s->door_closed);
}

static json_t *
do_stats(struct page *p)
{
	json_t *o = json_object(), *groups = json_object(), *list = json_array(), *j;
	const char *key;
	uint64_t id;

	json_object_set_new(o, "totals", totals_json(p));
	if (json_is_true(json_object_get(p->request, "totals_only")))
		p->end = true;
	while (!p->end && (j = page_next(p, &id)) != NULL) {
		badmail_admin_group(groups, j);
		json_decref(j);
	}
	json_object_foreach(groups, key, j) json_array_append(list, j);
	json_decref(groups);
	json_object_set_new(o, "groups", list);
	return page_end(p, o);
}

/* ---- retry, purge ---------------------------------------------------------------------------- */

/* The items that the request names, one by one; false: none is left. *ret_bad: it is no ID. */
static bool
badmail_admin_named(const struct page *p, size_t *at, enum badmail_class *cls, uint64_t *id,
		    bool *ret_bad)
{
	const json_t *ids = json_object_get(p->request, "ids");
	const char *text = json_string_value(json_array_get(ids, *at));

	if (*at >= json_array_size(ids))
		return false;
	++*at;
	*ret_bad = !text || !badmail_id_parse(text, cls, id);
	return true;
}

/* The next item to act on: one that was named, else one of the page. */
static bool
badmail_admin_next_target(struct page *p, size_t *at, enum badmail_class *cls, uint64_t *id,
			  bool *ret_bad)
{
	json_t *j;

	*ret_bad = false;
	if (json_is_array(json_object_get(p->request, "ids"))) {
		if (badmail_admin_named(p, at, cls, id, ret_bad))
			return true;
		p->end = true;
		return false;
	}
	j = page_next(p, id);
	*cls = p->cls;
	json_decref(j);
	return j != NULL;
}

static json_t *
do_retry(struct page *p)
{
	unsigned n = 0, started = 0, done = 0, failed = 0, limit = limit_of(p, RETRY_AT_ONCE);
	struct badmail_watch *w = badmail_watch_new();
	enum badmail_class cls;
	size_t at = 0;
	uint64_t id;
	bool bad;

	if (!w)
		return badmail_admin_error("no memory");
	while (n < limit && badmail_admin_next_target(p, &at, &cls, &id, &bad)) {
		n++;
		started += !bad && badmail_retry_start(p->c, cls, id, w);
	}
	badmail_watch_wait(w, RETRY_WAIT_MS, &done, &failed);
	return page_end(p,
			json_pack("{s:i, s:i, s:i, s:i}", "asked", n, "delivered", done, "failed",
				  failed + n - started, "working", started - done - failed));
}

static json_t *
do_purge(struct page *p)
{
	unsigned purged = 0, missing = 0;
	struct badmail_store st;
	enum badmail_class cls;
	char text[200];
	size_t at = 0;
	uint64_t id;
	bool bad;

	while (badmail_admin_next_target(p, &at, &cls, &id, &bad)) {
		if (badmail_store_lock(p->c, &st, text) != PM_OK)
			return badmail_admin_error(text);
		if (!bad && badmail_store_remove(&st, cls, id, PENDING_REMOVE))
			purged++;
		else
			missing++;
		if (!badmail_store_unlock(&st))
			return badmail_admin_error(
				"the totals cannot be written; is the disk read-only?");
	}
	return page_end(p, json_pack("{s:i, s:i}", "purged", purged, "missing", missing));
}

/* ---- show ------------------------------------------------------------------------------------ */

static json_t *
head_json(const char *path)
{
	char *buf = malloc(HEAD_MAX), *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = buf && fd != -1 ? read(fd, buf, HEAD_MAX) : 0;
	json_t *j = NULL;
	size_t n = got > 0 ? (size_t)got : 0;

	if (n > 0 && (end = memmem(buf, n, "\r\n\r\n", 4)) != NULL)
		n = (size_t)(end - buf) + 2;
	for (size_t i = 0; i < n; i++) /* it is shown on somebody's terminal */
		if (((unsigned char)buf[i] < 0x20 && buf[i] != '\n' && buf[i] != '\t') ||
		    (unsigned char)buf[i] >= 0x7f)
			buf[i] = buf[i] == '\r' ? ' ' : '?';
	if (n > 0)
		j = json_stringn(buf, n);
	if (fd != -1)
		(void)close(fd);
	free(buf);
	return j ? j : json_string("");
}

static json_t *
do_show(struct page *p)
{
	const char *text = json_string_value(json_array_get(json_object_get(p->request, "ids"), 0));
	char path[BADMAIL_PATH_MAX];
	enum badmail_class cls;
	uint64_t id;
	json_t *j, *o;

	if (!text || !badmail_id_parse(text, &cls, &id))
		return badmail_admin_error("show needs an item's ID: see restantectl badmail list");
	j = badmail_item_load(&p->c->badmail, cls, id);
	if (!j)
		return badmail_admin_error("there is no such item (any more)");
	p->read++;
	p->end = true;
	badmail_place_item(&p->c->badmail, cls, id, ".eml", path, sizeof(path));
	o = json_object();
	json_object_set_new(o, "item", with_id(j, cls, id));
	json_object_set_new(o, "file", json_string(path));
	json_object_set_new(o, "head", head_json(path));
	return page_end(p, o);
}

json_t *
badmail_admin(const json_t *request)
{
	static const struct {
		const char *name;
		json_t *(*run)(struct page *p);
	} actions[] = {{"list", do_list},
		       {"stats", do_stats},
		       {"retry", do_retry},
		       {"purge", do_purge},
		       {"show", do_show}};
	const char *action = json_string_value(json_object_get(request, "action"));
	struct conf *c = conf_current();
	json_t *answer = NULL;
	char text[200];
	struct page p;

	if (!c || !c->badmail.path)
		answer = badmail_admin_error("there is no badmail block in the configuration");
	else if (!page_begin(&p, c, request, text))
		answer = badmail_admin_error(text);
	for (size_t i = 0; !answer && action && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, action) == 0)
			answer = actions[i].run(&p);
	conf_put(c);
	return answer ? answer : badmail_admin_error("badmail: list, show, retry, purge or stats");
}
