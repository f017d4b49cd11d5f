/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restantectl user NAME: what each auth section says of a name, and what its mailbox holds. Modules are asked
 * by errands; the admin thread waits for each at most five seconds, and an answer that comes later is thrown
 * away by whoever is the last to hold the question.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "conf/conf.h"
#include "core/chain.h"
#include "core/errand.h"
#include "core/registry.h"

#define ASK_MS 5000

/* One question; held by the admin thread and by the errand. */
struct question {
	_Atomic int refs;
	pthread_mutex_t mutex;
	pthread_cond_t answered;
	/* below: under mutex until done, then nobody writes */
	bool done;
	int32_t rc;
	char error[PM_ERROR_MAX + 1];
	char asked[PM_NAME_MAX + 1];
	char name[PM_NAME_MAX + 1], key[PM_KEY_MAX + 1], section[65], home[PM_PATH_MAX + 1];
	uint32_t state, rights;
	struct pm_stat stat;
};

static struct question *
question_new(void)
{
	struct question *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	atomic_store(&q->refs, 2);
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->answered, NULL);
	return q;
}

static void
question_put(struct question *q)
{
	if (atomic_fetch_sub(&q->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&q->mutex);
	pthread_cond_destroy(&q->answered);
	free(q);
}

static void
copy_str(char *to, size_t cap, struct pm_str s)
{
	size_t n = s.n < cap - 1 ? s.n : cap - 1;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

/* ---- errands: on workers --------------------------------------------------------------------- */

static int32_t
run_lookup(struct errand *e)
{
	struct question *q = e->ctx;
	struct pm_cred cred;
	struct pm_user u;
	int32_t rc;

	host_cred_init(&cred);
	cred.service = (struct pm_str){"ctl", 3};
	cred.authcid = (struct pm_str){q->asked, strlen(q->asked)};
	rc = host_lookup(e->backend->inst, &e->call, &cred, &u);
	if (rc != PM_OK)
		return rc;
	pthread_mutex_lock(&q->mutex);
	copy_str(q->name, sizeof(q->name), u.name.n ? u.name : cred.authcid);
	copy_str(q->key, sizeof(q->key), u.key.n ? u.key : u.name.n ? u.name : cred.authcid);
	copy_str(q->section, sizeof(q->section), u.section);
	for (uint32_t i = 0; i < u.n_attr; i++)
		if (u.attr[i].key.n == 4 && memcmp(u.attr[i].key.p, "home", 4) == 0)
			copy_str(q->home, sizeof(q->home), u.attr[i].value);
	q->state = u.state;
	q->rights = u.rights;
	pthread_mutex_unlock(&q->mutex);
	return PM_OK;
}

static int32_t
run_stat(struct errand *e)
{
	struct question *q = e->ctx;
	struct pm_attr home = {{"home", 4}, {q->home, strlen(q->home)}};
	struct pm_user u;
	struct pm_stat stat;
	int32_t rc;

	host_user_init(&u);
	u.name = (struct pm_str){q->name, strlen(q->name)};
	u.key = (struct pm_str){q->key, strlen(q->key)};
	u.attr = &home;
	u.n_attr = home.value.n > 0;
	rc = host_box_stat(e->backend->inst, &e->call, &u, &stat);
	if (rc == PM_OK) {
		pthread_mutex_lock(&q->mutex);
		q->stat = stat;
		pthread_mutex_unlock(&q->mutex);
	}
	return rc;
}

static void
finish(struct errand *e, int32_t rc)
{
	struct question *q = e->ctx;

	pthread_mutex_lock(&q->mutex);
	q->rc = rc;
	q->done = true;
	memcpy(q->error, e->call.error, sizeof(q->error));
	pthread_mutex_unlock(&q->mutex);
	pthread_cond_signal(&q->answered);
	question_put(q);
}

/* ---- the admin thread ------------------------------------------------------------------------ */

/* False: no answer within five seconds; the question is the errand's alone then. */
static bool
ask(struct question *q, struct conf *c, struct backend *b, const char *name, int32_t (*run)(struct errand *e))
{
	struct errand e = {.conf = c, .backend = b, .name = name, .run = run, .finish = finish, .ctx = q,
			   .deadline_ms = mono_ms() + ASK_MS};
	struct timespec until;
	bool done;
	int rc = 0;

	if (!errand_start(&e, CALL_BEGIN, false)) {
		question_put(q); /* the errand's share */
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ASK_MS / 1000;
	pthread_mutex_lock(&q->mutex);
	while (!q->done && rc == 0)
		rc = pthread_cond_clockwait(&q->answered, &q->mutex, CLOCK_MONOTONIC, &until);
	done = q->done;
	pthread_mutex_unlock(&q->mutex);
	return done;
}

static const char *
in_words(int32_t rc)
{
	switch (rc) {
	case PM_OK:
		return "has this user";
	case PM_NOENT:
	case PM_NEXT:
		return "does not have this user";
	case PM_UNSUPPORTED:
		return "cannot tell: the module has no such method";
	case PM_TIMEOUT:
		return "did not answer in time";
	case PM_DOWN:
		return "is down";
	default:
		return "could not answer now";
	}
}

static const char *
state_in_words(uint32_t state)
{
	static const char *const words[] = {"enabled", "disabled", "expired", "must change the password"};

	return state < 4 ? words[state] : "?";
}

static void
add_mailbox(json_t *o, struct conf *c, const struct conf_section *auth, const struct question *found)
{
	struct conf_section *s = chain_storage(c, auth, found->section, strlen(found->section));
	struct question *q;
	slot_token holder;

	json_object_set_new(o, "storage", json_string(s ? s->name : "(no such section)"));
	if (!s)
		return;
	json_object_set_new(o, "open", json_boolean(registry_is_open(s->name, found->key, strlen(found->key), &holder)));
	q = question_new();
	if (!q)
		return;
	memcpy(q->name, found->name, sizeof(q->name));
	memcpy(q->key, found->key, sizeof(q->key));
	memcpy(q->home, found->home, sizeof(q->home));
	if (!ask(q, c, s->backend, "user", run_stat)) {
		json_object_set_new(o, "mailbox", json_string("the storage module did not answer within 5 s"));
	} else if (q->rc == PM_OK) {
		json_object_set_new(o, "messages", json_integer((json_int_t)q->stat.count));
		json_object_set_new(o, "octets", json_integer((json_int_t)q->stat.octets));
		json_object_set_new(o, "last_delivery", json_integer((json_int_t)q->stat.last_delivery_ms / 1000));
	} else {
		json_object_set_new(o, "mailbox", json_string(q->rc == PM_NOENT ? "none yet: nothing was delivered"
									       : q->error[0] ? q->error
									       : in_words(q->rc)));
	}
	question_put(q);
}

/* True: this section has the user, and the chain ends here. */
static bool
ask_section(json_t *o, json_t *steps, struct conf *c, int i, const char *name)
{
	struct conf_section *s = &c->auth[i];
	struct question *q = question_new();
	bool found = false;

	if (!q)
		return false;
	memcpy(q->asked, name, strlen(name) + 1);
	if (!ask(q, c, s->backend, "user", run_lookup)) {
		json_array_append_new(steps, json_pack("{s:s, s:s}", "section", s->name, "answer",
						       "did not answer within 5 s"));
	} else {
		json_array_append_new(steps, json_pack("{s:s, s:s, s:s}", "section", s->name, "answer", in_words(q->rc),
						       "detail", q->error));
		found = q->rc == PM_OK;
	}
	if (found) {
		json_object_set_new(o, "user", json_string(q->name));
		json_object_set_new(o, "key", json_string(q->key));
		json_object_set_new(o, "state", json_string(state_in_words(q->state)));
		json_object_set_new(o, "pop3", json_boolean(q->rights & PM_RIGHT_POP3));
		json_object_set_new(o, "delete", json_boolean(q->rights & PM_RIGHT_DELETE));
		if (q->home[0])
			json_object_set_new(o, "home", json_string(q->home));
		add_mailbox(o, c, s, q);
	}
	question_put(q);
	return found;
}

json_t *
admin_user(const json_t *request)
{
	const char *raw = json_string_value(json_object_get(request, "name"));
	struct conf *c = conf_current();
	char name[PM_NAME_MAX + 1];
	json_t *o, *steps;

	if (!raw || !c || !chain_name(c, raw, strlen(raw), name)) {
		conf_put(c);
		return admin_error("'%.64s' is not a possible user name", raw ? raw : "");
	}
	o = json_object();
	steps = json_array();
	json_object_set_new(o, "ok", json_true());
	json_object_set_new(o, "name", json_string(name));
	json_object_set_new(o, "chain", steps);
	for (int i = chain_next(c, name, 0); i >= 0; i = chain_next(c, name, i + 1))
		if (ask_section(o, steps, c, i, name))
			break;
	conf_put(c);
	return o;
}
