/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/authtest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/chain.h"
#include "account/credcache.h"
#include "account/lookup.h"
#include "admin/account.h"
#include "answer/answers.h"
#include "answer/requests.h"
#include "base/b64.h"
#include "base/clock.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "host/answer.h"
#include "work/gate_status.h"

#define SECRET_B64_MAX 8192
#define CALL_MS_MAX 10000 /* a section is waited for as long as a login waits, but not longer */
#define MARGIN_MS 1500

struct test {
	struct conf *c;
	json_t *o;
	struct answer_auth a;
	char name[PM_NAME_MAX + 1];
	char peer[64];
	char *secret; /* NULL: none was given */
	size_t secret_n;
	const char *decided_by;           /* section; NULL: the chain goes on */
	const struct conf_section *blind; /* account/lookup.h */
	char result[PM_ERROR_MAX + 1];
};

/* The row of one section, and the texts it points to. */
struct step {
	struct answer_step a;
	struct answer_step_time t;
	bool asked;
	char answer[1024], detail[PM_ERROR_MAX + 1], good[100];
};

static void step_explain(struct step *st, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
step_explain(struct step *st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(st->answer, sizeof(st->answer), fmt, ap);
	va_end(ap);
	st->a.answer = st->answer;
}

/* The end of the walk: would a login come in, what would the client be told, why. */
static void
authtest_decide(struct test *t, const char *section, bool accepted, const char *reply,
		const char *why)
{
	t->decided_by = section;
	t->a.accepted = accepted;
	t->a.reply = reply;
	snprintf(t->result, sizeof(t->result), "%s", why);
}

/* ---- sections that are not asked ------------------------------------------------------------- */

static void
explain_domains(struct step *st, const struct conf_section *s)
{
	char text[400] = "";
	size_t n = 0;

	for (size_t i = 0; i < s->n_domains && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "",
				      s->domains[i]);
	step_explain(st, "not asked: it serves names of %s only", text);
}

static void
explain_wrapped(struct step *st, const struct conf *c, const struct conf_section *s)
{
	const char *by = "?";

	for (size_t i = 0; i < c->n_auth; i++)
		if (c->auth[i].wrap && strcmp(c->auth[i].wrap, s->name) == 0)
			by = c->auth[i].name;
	step_explain(st, "not asked by itself: section %s wraps it", by);
}

/* True: it is, or would be, this section's turn. */
static bool
explain_turn(struct test *t, struct step *st, size_t i)
{
	const struct conf_section *s = &t->c->auth[i];

	if (s->only_wrapped)
		explain_wrapped(st, t->c, s);
	else if (chain_next(t->c, t->name, (int)i) != (int)i)
		explain_domains(st, s);
	else if (t->decided_by)
		step_explain(st, "not asked: section %s has decided", t->decided_by);
	else
		return true;
	return false;
}

/* ---- sections that could not be asked -------------------------------------------------------- */

/* The gate did not let the question in. */
static void
explain_refused(struct step *st, const struct backend *b, uint8_t verdict)
{
	struct gate_status g;
	int64_t left_ms;

	gate_status_get(b->gate, &g);
	left_ms = g.open_until_ms - mono_ms();
	if (verdict == VERDICT_REFUSED && strcmp(g.breaker, "closed") != 0)
		step_explain(
			st,
			"not asked: its breaker is %s after failures in a row; it is tried again "
			"in %lld s",
			g.breaker, (long long)(left_ms > 0 ? left_ms / 1000 + 1 : 0));
	else if (verdict == VERDICT_REFUSED)
		step_explain(
			st,
			"not asked: its line is full, %u wait for %u permits (queue_max, permits)",
			g.waiting[CALL_BEGIN], g.limits.permits);
	else
		step_explain(
			st,
			"not asked: no permit within %lld ms, all %u are in use (wait_ms, permits)",
			(long long)g.limits.wait_ms, g.limits.permits);
}

static void
explain_silence(struct step *st, const struct backend *b, int64_t ms)
{
	struct gate_status g;

	gate_status_get(b->gate, &g);
	step_explain(st,
		     "no answer within %lld ms: %u of %u permits are in use; see the calls of "
		     "restantectl "
		     "modules",
		     (long long)ms, g.in_use, g.limits.permits);
}

/* ---- one section ----------------------------------------------------------------------------- */

static void
authtest_cred_fill(const struct test *t, struct question *q)
{
	q->cred.flags = PM_CREDF_TLS;
	snprintf(q->peer, sizeof(q->peer), "%s", t->peer);
	q->cred.peer = (struct pm_str){q->peer, strlen(q->peer)};
	if (!t->secret)
		return;
	q->secret = malloc(t->secret_n + 1);
	if (!q->secret)
		return;
	memcpy(q->secret, t->secret, t->secret_n);
	q->secret_n = t->secret_n;
	q->cred.kind = PM_CRED_PASSWORD;
	q->cred.service = (struct pm_str){"pop3", 4};
	q->cred.mech = (struct pm_str){"USER", 4};
	q->cred.secret = (struct pm_str){q->secret, q->secret_n};
}

/* How the cache would have answered in place of the section. */
static void
explain_cache(struct step *st, struct credcache *cache, const struct pm_cred *cred)
{
	char error[PM_ERROR_MAX + 1];
	struct arena a;
	struct pm_user u;
	int64_t age_ms;
	int32_t rc;

	if (!cache)
		return;
	arena_init(&a, 64u << 10);
	if (!credcache_find(cache, cred, mono_ms(), &a, &rc, &u, error))
		st->a.cache = "does not know this name and password";
	else
		st->a.cache = rc == PM_OK       ? "a login is answered from it: accepted"
			      : rc == PM_DENIED ? "a login is answered from it: refused"
						: "a login is answered from it: unknown";
	if (credcache_last_good(cache, cred, mono_ms(), &a, &u, &age_ms)) {
		snprintf(st->good, sizeof(st->good),
			 "accepted %lld s ago: lets in while the section cannot be asked",
			 (long long)age_ms / 1000);
		st->a.last_known_good = st->good;
	}
	arena_reset(&a);
}

static bool
is_undecided(struct test *t, const struct conf_section *s, int32_t rc)
{
	return (t->secret ? lookup_judge_login(rc) : lookup_judge(rc, s, &t->blind)) ==
	       LOOKUP_CANNOT_TELL;
}

/* The section cannot be asked now; last known good may still open the door. */
static void
decide_failed(struct test *t, struct step *st, const struct conf_section *s, bool backend_failed)
{
	if (backend_failed && st->a.last_known_good)
		authtest_decide(t, s->name, true, "+OK",
				"let in as last known good: the section cannot be asked");
	else
		authtest_decide(t, s->name, false, "-ERR [SYS/TEMP]",
				"the section cannot be asked, so nobody can tell; later "
				"sections are not asked in its place");
}

static void
decide_accepted(struct test *t, const struct conf_section *s, const struct question *q)
{
	const char *lacks = chain_lacks(&q->user, wall_ms());
	char text[PM_ERROR_MAX + 1];
	int32_t rc;

	account_json(t->o, t->c, s, t->name, &q->user);
	if (lacks)
		authtest_decide(t, s->name, false, "-ERR [AUTH]", lacks);
	else if (!chain_storage(t->c, s, q->user.section.p, q->user.section.n))
		authtest_decide(t, s->name, false, "-ERR [SYS/PERM]",
				"the account names a storage section that is not there");
	else if ((rc = account_own(t->c, s, t->name, &q->user, text, sizeof(text))) != PM_OK)
		authtest_decide(t, s->name, false,
				rc == PM_PERM ? "-ERR [SYS/PERM]" : "-ERR [SYS/TEMP]", text);
	else if (!t->secret)
		authtest_decide(
			t, s->name, true, "+OK",
			"the account is fit for POP3; no password was given, none was checked");
	else
		authtest_decide(t, s->name, true, "+OK", "a login is let in");
}

static const char *
answer_words(const struct test *t, int32_t rc)
{
	if (!t->secret)
		return account_words(rc);
	switch (rc) {
	case PM_OK:
		return "accepted: the password is right";
	case PM_DENIED:
		return "refused: wrong password, or no such user";
	case PM_NOENT:
		return "refused: no such user";
	case PM_NEXT:
		return "not its user: the next section is asked";
	case PM_UNSUPPORTED:
		return "refused: the module cannot check passwords";
	default:
		return account_words(rc);
	}
}

static void
authtest_judge(struct test *t, struct step *st, const struct conf_section *s,
	       const struct question *q)
{
	int32_t rc = q->rc;

	snprintf(st->detail, sizeof(st->detail), "%s", q->error);
	st->a.answer = answer_words(t, rc);
	st->a.detail = st->detail;
	st->a.code = host_code_name(rc);
	if (rc == PM_OK)
		decide_accepted(t, s, q);
	else if (is_undecided(t, s, rc))
		decide_failed(t, st, s, host_backend_failed(rc));
	else if (t->secret && lookup_judge_login(rc) == LOOKUP_UNKNOWN)
		authtest_decide(t, s->name, false, "-ERR [AUTH]",
				q->error[0] ? q->error : answer_words(t, rc));
}

/* A refusal is as good as one at a login; an acceptance is not remembered: nobody has logged in. */
static void
tell_cache(const struct question *q, struct credcache *cache, uint64_t epoch)
{
	bool lacks = q->rc == PM_OK && chain_lacks(&q->user, wall_ms());

	if (q->rc != PM_OK || lacks)
		credcache_learn(cache, epoch, &q->cred, q->rc, &q->user, false, q->error,
				mono_ms());
}

static void
authtest_ask_section(struct test *t, struct step *st, const struct conf_section *s)
{
	struct backend *b = s->backend;
	int64_t started_ms = mono_ms(),
		ms = b->limits.call_ms < CALL_MS_MAX ? b->limits.call_ms : CALL_MS_MAX;
	uint64_t epoch = credcache_epoch(b->cache);
	struct question *q = question_new(t->name);

	if (!q) {
		authtest_decide(t, s->name, false, "-ERR [SYS/TEMP]", "no memory");
		return;
	}
	authtest_cred_fill(t, q);
	explain_cache(st, b->cache, &q->cred);
	ms += MARGIN_MS;
	if (!question_ask(q, t->secret ? QUESTION_VERIFY : QUESTION_LOOKUP, t->c, b, ms)) {
		explain_silence(st, b, ms);
		decide_failed(t, st, s, true);
	} else if (q->verdict != VERDICT_GO) {
		explain_refused(st, b, q->verdict);
		decide_failed(t, st, s, true);
	} else {
		if (t->secret)
			tell_cache(q, b->cache, epoch);
		authtest_judge(t, st, s, q);
	}
	st->asked = true;
	st->t.ms = (uint64_t)(mono_ms() - started_ms);
	question_put(q);
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Every section was asked, and none has decided. */
static void
decide_nobody(struct test *t)
{
	char text[PM_ERROR_MAX];

	if (lookup_end_code(t->blind, text, sizeof(text)) == PM_NOENT)
		authtest_decide(t, NULL, false, "-ERR [AUTH]",
				"unknown user: no section knows this name");
	else
		authtest_decide(t, NULL, false, "not known without a password", text);
}

static void
authtest_step(struct test *t, size_t i)
{
	struct step st = {.a.section = t->c->auth[i].name};
	json_t *o = json_object();

	if (explain_turn(t, &st, i))
		authtest_ask_section(t, &st, &t->c->auth[i]);
	ANSWER_PUT(o, step, &st.a);
	if (st.asked)
		ANSWER_PUT(o, step_time, &st.t);
	json_array_append_new(t->a.chain, o);
}

static json_t *
authtest_walk(struct test *t)
{
	t->o = answers_new();
	t->a.name = t->name;
	t->a.password = t->secret ? "given" : "not given: users are looked up";
	t->a.chain = json_array();
	t->a.result = t->result;
	for (size_t i = 0; i < t->c->n_auth; i++)
		authtest_step(t, i);
	if (!t->decided_by)
		decide_nobody(t);
	ANSWER_PUT(t->o, auth, &t->a);
	return t->o;
}

/* Base64: a password may be any octets, JSON is UTF-8. False: not base64, or no memory. */
static bool
take_secret(struct test *t, const json_t *j)
{
	const char *text = json_string_value(j);
	size_t n = text ? strlen(text) : 0;

	if (!j)
		return true;
	if (n > SECRET_B64_MAX)
		return false;
	t->secret = malloc(B64_DECODED_MAX(n) + 1);
	return t->secret && text &&
	       b64_decode(text, n, (unsigned char *)t->secret, B64_DECODED_MAX(n) + 1,
			  &t->secret_n);
}

json_t *
authtest_answer(const json_t *request)
{
	const char *raw = REQUEST_TEXT(request, name);
	const char *peer = REQUEST_TEXT(request, peer);
	struct test t = {.c = conf_current()};
	json_t *answer;

	snprintf(t.peer, sizeof(t.peer), "%s", peer ? peer : "");
	if (!take_secret(&t, REQUEST_GET(request, password_base64)))
		answer = answers_error("the password is too long");
	else if (!raw || !t.c || !chain_name(t.c, raw, strlen(raw), t.name))
		answer = answers_error("'%.64s' is not a possible user name", raw ? raw : "");
	else
		answer = authtest_walk(&t);
	if (t.secret)
		secret_wipe(t.secret, t.secret_n);
	free(t.secret);
	conf_put(t.c);
	return answer;
}
