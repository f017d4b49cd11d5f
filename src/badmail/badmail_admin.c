/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restantectl badmail. Every request is one page: it reads at most READ_MAX sidecars, reports how
 * many that were ("read"), and where to go on ("next", absent at the end); restantectl asks again
 * until it has enough. So nothing here takes long, however many items there are.
 *
 * A page begins at `after`, and has at most `limit` items; or the request names items by `ids`.
 * Filters ask for the whole text of a field.
 *
 * The keys are in answer/requests.h, the fields of the answers in answer/answers.h; the groups of
 * stats are those of the page, to be added up.
 */
#include "badmail/badmail_admin.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "answer/badmail_sums.h"
#include "answer/requests.h"
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

/* Has the item the text that was asked for, if one was? */
static bool
has_text(const struct page *p, const json_t *j, const struct request_key *k)
{
	const char *wanted = json_string_value(json_object_get(p->request, k->name));

	return !wanted || strcmp(wanted, badmail_item_text(j, k->name)) == 0;
}

static bool
badmail_admin_fits(const struct page *p, const json_t *j)
{
	static const struct request_key *const keys[] = {&request_key_reason, &request_key_code,
							 &request_key_source};
	json_int_t when = json_integer_value(json_object_get(j, "time_ms"));
	const json_t *before = REQUEST_GET(p->request, before_ms),
		     *since = REQUEST_GET(p->request, since_ms);
	char domain[256];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!has_text(p, j, keys[i]))
			return false;
	badmail_item_sender_domain(j, domain, sizeof(domain));
	if (REQUEST_TEXT(p->request, sender_domain) &&
	    strcasecmp(REQUEST_TEXT(p->request, sender_domain), domain) != 0)
		return false;
	if (REQUEST_TEXT(p->request, sender) &&
	    strcasecmp(REQUEST_TEXT(p->request, sender), badmail_item_text(j, "sender")) != 0)
		return false;
	if (REQUEST_TEXT(p->request, recipient) &&
	    !has_recipient(j, REQUEST_TEXT(p->request, recipient)))
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
	cls = REQUEST_TEXT(p->request, class);
	p->both = !cls;
	if (cls && strcmp(cls, "retry") != 0 && strcmp(cls, "refused") != 0) {
		snprintf(text, 200, "'%.40s' is no class: retry or refused", cls);
		return false;
	}
	p->cls = cls && strcmp(cls, "refused") == 0 ? BADMAIL_REFUSED : BADMAIL_RETRY;
	if (REQUEST_TEXT(p->request, after) &&
	    !badmail_id_parse(REQUEST_TEXT(p->request, after), &p->cls, &p->id)) {
		snprintf(text, 200, "'%.40s' is no item's ID", REQUEST_TEXT(p->request, after));
		return false;
	}
	p->id += REQUEST_TEXT(p->request, after) != NULL;
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
		bool unsure; /* a look at what can be seen */
		json_t *j;

		if (p->s.cls[p->cls].items == 0 ||
		    !badmail_place_next(&p->c->badmail, p->cls, p->id > first ? p->id : first,
					p->s.next_id, ret_id, &unsure)) {
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
	struct answer_badmail_page a = {.read = p->read};
	char id[17];

	if (!p->end) {
		badmail_id_format(p->cls, p->id - 1, id);
		a.next = p->id > 0 ? id : "x0";
	}
	ANSWER_PUT(o, badmail_page, &a);
	return o;
}

static unsigned
limit_of(const struct page *p)
{
	json_int_t n = json_integer_value(REQUEST_GET(p->request, limit));

	return n > 0 && n < LIMIT_MAX ? (unsigned)n : LIMIT_MAX;
}

static json_t *
with_id(json_t *j, enum badmail_class cls, uint64_t id)
{
	char text[17];
	const struct answer_badmail_id a = {.id = text};

	badmail_id_format(cls, id, text);
	ANSWER_PUT(j, badmail_id, &a);
	return j;
}

/* ---- list, stats ----------------------------------------------------------------------------- */

static json_t *
do_list(struct page *p)
{
	struct answer_badmail_list a = {.items = json_array()};
	unsigned n = 0, limit = limit_of(p);
	json_t *o = answers_new(), *j;
	uint64_t id;

	while (n < limit && (j = page_next(p, &id)) != NULL) {
		json_array_append_new(a.items, with_id(j, p->cls, id));
		n++;
	}
	ANSWER_PUT(o, badmail_list, &a);
	return page_end(p, o);
}

static void
badmail_admin_sum(json_t *sums, const json_t *j)
{
	struct answer_badmail_item i;
	char domain[256];

	ANSWER_GET(j, badmail_item, &i);
	badmail_item_sender_domain(j, domain, sizeof(domain));
	badmail_sums_add(sums, &(struct answer_badmail_group){.class = i.class,
							      .items = 1,
							      .octets = i.octets,
							      .first_ms = i.time_ms,
							      .last_ms = i.time_ms,
							      .reason = i.reason,
							      .code = i.code,
							      .sender_domain = domain});
}

static json_t *
totals_json(const struct page *p)
{
	const struct badmail_state *s = &p->s;
	const struct answer_badmail_totals a = {
		.retry_items = s->cls[BADMAIL_RETRY].items,
		.retry_octets = s->cls[BADMAIL_RETRY].octets,
		.refused_items = s->cls[BADMAIL_REFUSED].items,
		.refused_octets = s->cls[BADMAIL_REFUSED].octets,
		.max_items = (uint64_t)p->c->badmail.max_items,
		.max_octets = (uint64_t)p->c->badmail.max_octets,
		.dropped = s->dropped,
		.dropped_octets = s->dropped_octets,
		.expired = s->expired,
		.crowded = s->crowded,
		.delivered = s->delivered,
		.door_closed = s->door_closed,
	};
	json_t *o = json_object();

	ANSWER_PUT(o, badmail_totals, &a);
	return o;
}

static json_t *
do_stats(struct page *p)
{
	struct answer_badmail_stats a = {.totals = totals_json(p)};
	json_t *o = answers_new(), *sums = json_object(), *j;
	uint64_t id;

	while (!p->end && (j = page_next(p, &id)) != NULL) {
		badmail_admin_sum(sums, j);
		json_decref(j);
	}
	a.groups = badmail_sums_list(sums);
	ANSWER_PUT(o, badmail_stats, &a);
	return page_end(p, o);
}

/* ---- retry, purge ---------------------------------------------------------------------------- */

/* The items that the request names, one by one; false: none is left. *ret_bad: it is no ID. */
static bool
badmail_admin_named(const struct page *p, size_t *at, enum badmail_class *cls, uint64_t *id,
		    bool *ret_bad)
{
	const json_t *ids = REQUEST_GET(p->request, ids);
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
	if (json_is_array(REQUEST_GET(p->request, ids))) {
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
	unsigned n = 0, started = 0, done = 0, failed = 0;
	struct badmail_watch *w = badmail_watch_new();
	struct answer_badmail_retry a;
	enum badmail_class cls;
	size_t at = 0;
	uint64_t id;
	json_t *o;
	bool bad;

	if (!w)
		return answers_error("no memory");
	while (n < RETRY_AT_ONCE && badmail_admin_next_target(p, &at, &cls, &id, &bad)) {
		n++;
		started += !bad && badmail_retry_start(p->c, cls, id, w);
	}
	badmail_watch_wait(w, RETRY_WAIT_MS, &done, &failed);
	a = (struct answer_badmail_retry){.asked = n,
					  .delivered = done,
					  .failed = failed + n - started,
					  .working = started - done - failed};
	o = answers_new();
	ANSWER_PUT(o, badmail_retry, &a);
	return page_end(p, o);
}

static json_t *
do_purge(struct page *p)
{
	struct answer_badmail_purge a = {0};
	struct badmail_store st;
	enum badmail_class cls;
	char text[200];
	size_t at = 0;
	uint64_t id;
	json_t *o;
	bool bad;

	while (badmail_admin_next_target(p, &at, &cls, &id, &bad)) {
		if (badmail_store_lock(p->c, &st, text) != PM_OK)
			return answers_error("%s", text);
		if (!bad && badmail_store_remove(&st, cls, id, PENDING_REMOVE))
			a.purged++;
		else
			a.missing++;
		if (!badmail_store_unlock(&st))
			return answers_error(
				"the totals cannot be written; is the disk read-only?");
	}
	o = answers_new();
	ANSWER_PUT(o, badmail_purge, &a);
	return page_end(p, o);
}

/* ---- show ------------------------------------------------------------------------------------ */

/* The header of a message as it may be shown on a terminal, malloc'd; NULL: no memory. */
static char *
head_text(const char *path)
{
	char *buf = calloc(1, HEAD_MAX + 1), *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = buf && fd != -1 ? read(fd, buf, HEAD_MAX) : 0;
	size_t n = got > 0 ? (size_t)got : 0;

	if (n > 0 && (end = memmem(buf, n, "\r\n\r\n", 4)) != NULL)
		n = (size_t)(end - buf) + 2;
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)buf[i] < 0x20 && buf[i] != '\n' && buf[i] != '\t') ||
		    (unsigned char)buf[i] >= 0x7f)
			buf[i] = buf[i] == '\r' ? ' ' : '?';
	if (buf)
		buf[n] = '\0';
	if (fd != -1)
		(void)close(fd);
	return buf;
}

static json_t *
do_show(struct page *p)
{
	const char *text = json_string_value(json_array_get(REQUEST_GET(p->request, ids), 0));
	char path[BADMAIL_PATH_MAX];
	struct answer_badmail_show a;
	enum badmail_class cls;
	json_t *j, *o;
	uint64_t id;
	char *head;

	if (!text || !badmail_id_parse(text, &cls, &id))
		return answers_error("show needs an item's ID: see restantectl badmail list");
	j = badmail_item_load(&p->c->badmail, cls, id);
	if (!j && errno != ENOENT)
		return answers_error("its sidecar cannot be read: see the log");
	if (!j)
		return answers_error("there is no such item (any more)");
	p->read++;
	p->end = true;
	badmail_place_item(&p->c->badmail, cls, id, ".eml", path, sizeof(path));
	head = head_text(path);
	a = (struct answer_badmail_show){
		.item = with_id(j, cls, id), .file = path, .head = head ? head : ""};
	o = answers_new();
	ANSWER_PUT(o, badmail_show, &a);
	free(head);
	return page_end(p, o);
}

/* ---- the actions ----------------------------------------------------------------------------- */

static const struct {
	const struct request *request;
	json_t *(*run)(struct page *p);
} actions[] = {{&request_badmail_list, do_list},
	       {&request_badmail_stats, do_stats},
	       {&request_badmail_retry, do_retry},
	       {&request_badmail_purge, do_purge},
	       {&request_badmail_show, do_show}};

#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

static json_t *
badmail_admin_answer(const json_t *request)
{
	const struct request *r = requests_find(request);
	struct conf *c = conf_current();
	json_t *answer = NULL;
	char text[200];
	struct page p;

	if (!c || !c->badmail.path)
		answer = answers_error("there is no badmail block in the configuration");
	else if (!page_begin(&p, c, request, text))
		answer = answers_error("%s", text);
	for (size_t i = 0; !answer && i < N_ACTIONS; i++)
		if (actions[i].request == r)
			answer = actions[i].run(&p);
	conf_put(c);
	return answer;
}

void
badmail_admin_begin(badmail_admin_add *add)
{
	for (size_t i = 0; i < N_ACTIONS; i++)
		add(actions[i].request, badmail_admin_answer);
}
