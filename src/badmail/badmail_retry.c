/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One retry is one errand: it reads the sidecar, brings the message to each of its recipients
 * (mailbox/letter.h), and after each writes what is left of the sidecar, or removes the item. If it
 * is killed between a recipient's commit and that, the next one brings the same message once more,
 * under the same unique-id, and the store reports that it has it: never lost, and twice only in a
 * store that cannot import.
 */
#include "badmail/badmail_retry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/chain.h"
#include "badmail/badmail.h"
#include "badmail/badmail_busy.h"
#include "badmail/badmail_item.h"
#include "badmail/badmail_look.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_resolve.h"
#include "badmail/badmail_seen.h"
#include "badmail/badmail_store.h"
#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/stats.h"
#include "host/answer.h"
#include "mailbox/letter.h"

#define RETRY_MS 600000
#define HEAD_MAX 2048

/* ---- one retry ------------------------------------------------------------------------------- */

enum phase { PHASE_LOAD, PHASE_LETTER, PHASE_RESOLVE, PHASE_SAVE };

struct retry {
	enum badmail_class cls;
	uint64_t id;
	struct badmail_watch *watch;
	enum phase phase;
	json_t *j;
	size_t at;            /* recipient */
	struct letter letter; /* of that one */
	struct badmail_resolve resolve;
	bool resolved; /* it was asked already who that is by now */
	char head[HEAD_MAX];
	char last[PM_ERROR_MAX + PM_NAME_MAX + 8]; /* why the last one failed */
	bool gone;                                 /* the item is no more */
};

static const char *
badmail_retry_recipient(const struct retry *r, const char *list)
{
	const char *s = json_string_value(json_array_get(json_object_get(r->j, list), r->at));

	return s ? s : "";
}

/* RFC 5321 section 4.4: final delivery says where it came from. */
static bool
make_head(struct retry *r)
{
	int n = snprintf(r->head, sizeof(r->head), "Return-Path: <%s>\r\nDelivered-To: %s\r\n",
			 badmail_item_text(r->j, "sender"),
			 badmail_retry_recipient(r, "recipients"));

	if (n < 0 || (size_t)n >= sizeof(r->head))
		return false;
	for (const char *p = r->head; p < r->head + n - 2; p++)
		if ((unsigned char)*p < 0x20 && *p != '\r' && *p != '\n')
			return false; /* an address with a control character is none */
	r->letter.head = r->head;
	r->letter.head_n = (size_t)n;
	return true;
}

/* The same for each try of this item and recipient, and of no other item: numbers begin anew
 * when a store of Badmail is made anew, and other hosts have theirs. Items of before there was a
 * key go by when they came. */
static void
make_op_id(struct retry *r)
{
	char text[PM_NAME_MAX + 128];
	unsigned char md[EVP_MAX_MD_SIZE] = {0};
	int n = snprintf(text, sizeof(text), "%.40s %" PRId64 " %" PRIx64 " %s",
			 badmail_item_text(r->j, "key"),
			 (int64_t)json_integer_value(json_object_get(r->j, "time_ms")), r->id,
			 r->letter.name);

	r->letter.once = EVP_Digest(text, (size_t)n, md, NULL, EVP_sha256(), NULL) == 1;
	memcpy(r->letter.op_id, md, sizeof(r->letter.op_id));
}

static int32_t
to_save(struct retry *r, struct errand *e)
{
	r->phase = PHASE_SAVE;
	e->caller.holds++; /* what was delivered must be written down */
	return PM_AGAIN;
}

static void
note_failure(struct retry *r, const char *why)
{
	snprintf(r->last, sizeof(r->last), "%.320s: %s", badmail_retry_recipient(r, "recipients"),
		 why);
	r->at++;
}

static void
badmail_retry_strike(struct retry *r)
{
	(void)json_array_remove(json_object_get(r->j, "recipients"), r->at);
	(void)json_array_remove(json_object_get(r->j, "names"), r->at); /* there may be none */
}

/* The accounts that have it are remembered: a name that leads to one of them later is not
 * delivered once more. */
static void
note_delivery(struct retry *r)
{
	json_t *list = json_object_get(r->j, "delivered");

	if (!list && json_object_set_new(r->j, "delivered", list = json_array()) != 0)
		list = NULL; /* no memory: a copy too many rather than none */
	(void)json_array_append_new(list, json_string(r->letter.name));
	badmail_retry_strike(r);
}

static void
close_message(struct retry *r)
{
	if (r->letter.fd > 0)
		(void)close(r->letter.fd);
	r->letter.fd = -1;
}

/* The letter to recipient `at` to the account of that name; false: it is none, and another is at
 * `at`. */
static bool
begin_letter(struct retry *r, struct errand *e, const char *name)
{
	const struct conf_badmail *b = &e->conf->badmail;
	char path[BADMAIL_PATH_MAX];

	memset(&r->letter, 0, sizeof(r->letter));
	r->letter.conf = e->conf;
	r->letter.utf8 = json_is_true(json_object_get(r->j, "utf8"));
	badmail_place_item(b, r->cls, r->id, ".eml", path, sizeof(path));
	r->letter.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->letter.fd == -1) {
		note_failure(r, "its message cannot be read");
	} else if (!make_head(r) || !chain_name(e->conf, name, strlen(name), r->letter.name)) {
		note_failure(r, "not a possible name");
	} else if (badmail_item_has(r->j, "delivered", r->letter.name)) {
		badmail_retry_strike(r); /* by another name */
	} else {
		make_op_id(r);
		letter_begin(&r->letter);
		r->phase = PHASE_LETTER;
		return true;
	}
	close_message(r);
	return false;
}

/* Begins with recipient `at`, or the first after it that can be tried. Under the Badmail permit
 * or any other. */
static int32_t
next_recipient(struct retry *r, struct errand *e)
{
	const char *list = json_is_array(json_object_get(r->j, "names")) ? "names" : "recipients";

	letter_fini(&r->letter);
	close_message(r);
	r->resolved = false;
	while (r->at < json_array_size(json_object_get(r->j, "recipients")))
		if (begin_letter(r, e, badmail_retry_recipient(r, list)))
			return PM_AGAIN;
	return to_save(r, e);
}

/* An item whose sidecar cannot be read is not gone: it is due again, but not each second. */
static int32_t
put_off(const struct retry *r, const struct conf_badmail *b)
{
	int64_t next = wall_ms() + b->retry_max_ms;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
				    {.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000}};
	char path[BADMAIL_PATH_MAX];

	badmail_place_item(b, r->cls, r->id, ".json", path, sizeof(path));
	(void)utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
	return PM_TEMP;
}

static int32_t
badmail_retry_load(struct retry *r, struct errand *e)
{
	int32_t rc = errand_enter(e, CALL_BEGIN);

	if (rc != PM_OK)
		return rc;
	r->j = badmail_item_load(&e->conf->badmail, r->cls, r->id);
	if (r->j)
		return next_recipient(r, e);
	if (errno != ENOENT)
		return put_off(r, &e->conf->badmail);
	r->gone = true;
	return PM_GONE; /* purged meanwhile */
}

/* ---- a name that means another account by now ------------------------------------------------ */

static int32_t
resolve_one(struct retry *r, struct errand *e)
{
	int32_t rc = badmail_resolve_step(&r->resolve, e);
	char name[PM_NAME_MAX + 1];
	bool alias;

	if (rc == PM_AGAIN)
		return rc;
	if (rc != PM_OK)
		note_failure(r, r->resolve.text);
	alias = r->resolve.targets != NULL;
	if (rc == PM_OK && alias && !badmail_resolve_put(&r->resolve, r->j, r->at)) {
		badmail_resolve_fini(&r->resolve);
		return PM_NOMEM; /* what is on disk stays as it is */
	}
	memcpy(name, r->resolve.find.who.name, sizeof(name));
	badmail_resolve_fini(&r->resolve);
	if (rc != PM_OK || alias)
		return next_recipient(r, e);
	letter_fini(&r->letter);
	close_message(r);
	r->resolved = true;
	return begin_letter(r, e, name) ? PM_AGAIN : next_recipient(r, e);
}

static bool
begin_resolve(struct retry *r, struct errand *e, int32_t rc)
{
	if (r->resolved || (!r->letter.nobody && rc != PM_MOVED))
		return false;
	badmail_resolve_begin(&r->resolve, e->conf, r->letter.name);
	r->phase = PHASE_RESOLVE;
	return true;
}

static int32_t
letter_one(struct retry *r, struct errand *e)
{
	int32_t rc = letter_step(&r->letter, &e->caller);

	if (rc == PM_AGAIN)
		return rc;
	KILL_POINT("badmail: a recipient has it");
	if (rc == PM_OK) {
		note_delivery(r);
		return to_save(r, e);
	}
	if (begin_resolve(r, e, rc))
		return PM_AGAIN;
	note_failure(r, r->letter.text[0] ? r->letter.text : host_code_name(rc));
	return rc == PM_CANCELLED ? to_save(r, e) : next_recipient(r, e);
}

/* The next try: doubled each time. */
static int64_t
backoff_ms(const struct conf_badmail *b, json_int_t tries)
{
	int64_t ms = b->retry_first_ms;

	for (json_int_t i = 1; i < tries && ms < b->retry_max_ms; i++)
		ms *= 2;
	return ms < b->retry_max_ms ? ms : b->retry_max_ms;
}

static bool
badmail_retry_untried(const struct retry *r)
{
	return r->at < json_array_size(json_object_get(r->j, "recipients"));
}

/* The sidecar gets the recipients that are left. */
static bool
badmail_retry_rewrite(struct badmail_store *st, struct retry *r)
{
	/* it is counted if this is the last word */
	json_int_t tries = json_integer_value(json_object_get(r->j, "tries")) + 1;
	int64_t next = wall_ms() + backoff_ms(st->conf, tries);
	char tmp[BADMAIL_PATH_MAX], path[BADMAIL_PATH_MAX];
	json_t *last = json_string(r->last);
	int e;

	if (!badmail_retry_untried(r))
		(void)json_object_set_new(r->j, "tries", json_integer(tries));
	(void)json_object_set_new(r->j, "next_ms", json_integer(next));
	(void)json_object_set_new(r->j, "last_try_ms", json_integer(wall_ms()));
	(void)json_object_set_new(r->j, "last_error",
				  last ? last : json_string("the recipient's name is not UTF-8"));
	badmail_place_tmp(st->conf, ".json", tmp, sizeof(tmp));
	badmail_place_item(st->conf, r->cls, r->id, ".json", path, sizeof(path));
	e = badmail_item_write(r->j, tmp, next);
	KILL_POINT("badmail: before the sidecar is replaced");
	if (e == 0 && badmail_place_look(path) != BADMAIL_ABSENT && rename(tmp, path) == 0)
		return true;
	if (e == 0)
		(void)unlink(tmp); /* it was purged meanwhile, or cannot be replaced now */
	return false;
}

static int32_t
badmail_retry_save(struct retry *r, struct errand *e)
{
	bool all = json_array_size(json_object_get(r->j, "recipients")) == 0;
	struct badmail_store st;
	char id[17], text[200];
	int32_t rc = caller_enter_home(&e->caller, e->backend, e->name, e->backend->limits.call_ms,
				       &e->call);

	if (rc != PM_OK)
		return rc;
	rc = badmail_store_lock(e->conf, &st, text);
	badmail_id_format(r->cls, r->id, id);
	e->caller.holds--;
	if (rc != PM_OK) {
		log_msg(LOG_LVL_ERROR, "badmail",
			"item %s was tried, and that cannot be written down: %s", id, text);
		return rc;
	}
	/* false: it was purged meanwhile, or cannot be removed now and stays, without recipients */
	if (!all || !badmail_store_remove(&st, r->cls, r->id, PENDING_DELIVER))
		/* false: an old sidecar: tried again sooner, delivered to some once more */
		(void)badmail_retry_rewrite(&st, r);
	badmail_store_warn(&st);
	(void)badmail_store_unlock(&st);
	if (badmail_retry_untried(r) && !caller_should_end(&e->caller))
		return next_recipient(r, e);
	if (all)
		log_msg(LOG_LVL_NOTICE, "badmail", "item %s was delivered", id);
	else
		log_msg(LOG_LVL_INFO, "badmail", "item %s waits: %s", id, r->last);
	return all ? PM_OK : PM_TEMP;
}

static int32_t
retry_run(struct errand *e)
{
	struct retry *r = e->ctx;

	switch (r->phase) {
	case PHASE_LOAD:
		return badmail_retry_load(r, e);
	case PHASE_LETTER:
		return letter_one(r, e);
	case PHASE_RESOLVE:
		return resolve_one(r, e);
	default:
		return badmail_retry_save(r, e);
	}
}

static void
retry_finish(struct errand *e, int32_t rc)
{
	struct retry *r = e->ctx;

	(void)e;
	if (!r->gone)
		stat_add(rc == PM_OK ? STAT_RETRY_DELIVERED : STAT_RETRY_FAILED, 1);
	letter_fini(&r->letter);
	badmail_resolve_fini(&r->resolve);
	close_message(r);
	badmail_busy_end(r->cls, r->id);
	if (rc == PM_OK)
		badmail_look_soon(); /* there is room for the next, and its store works */
	badmail_watch_tell(r->watch, rc == PM_OK);
	json_decref(r->j);
	free(r);
}

bool
badmail_retry_start(struct conf *c, enum badmail_class cls, uint64_t id,
		    struct badmail_watch *watch)
{
	struct retry *r = calloc(1, sizeof(*r));
	struct errand e = {.conf = c,
			   .backend = badmail_backend(c),
			   .name = "retry",
			   .run = retry_run,
			   .finish = retry_finish,
			   .ctx = r,
			   .deadline_ms = mono_ms() + RETRY_MS};

	if (!r || !badmail_busy_take(cls, id)) {
		free(r);
		return false;
	}
	r->cls = cls;
	r->id = id;
	r->watch = watch;
	r->letter.fd = -1;
	badmail_watch_add(watch);
	if (errand_start(&e))
		return true;
	badmail_busy_end(cls, id);
	badmail_watch_tell(watch, false);
	free(r);
	return false;
}
