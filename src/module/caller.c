/* SPDX-License-Identifier: Apache-2.0 */
#include "module/caller.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/answer.h"
#include "work/pool.h"
#include "work/slot.h"

int32_t
caller_ask(struct caller *c, struct backend *b, enum call_class cls)
{
	struct task *t = c->task;

	t->waiting_since_ms = 0; /* the gate sets it when there is a wait */
	t->need = b->gate;
	t->call_class = (uint8_t)cls;
	t->wait_until_ms = c->endless          ? 0
			   : c->until_ms != 0  ? c->until_ms
			   : cls == CALL_BEGIN ? 0
					       : mono_ms() + c->patience_ms;
	return PM_AGAIN;
}

bool
caller_should_end(const struct caller *c)
{
	return (slot_peek_note(c->task->slot) & c->unwanted) != 0 ||
	       (c->until_ms != 0 && mono_ms() >= c->until_ms);
}

int32_t
caller_ask_home(struct caller *c, struct backend *b)
{
	bool endless = c->endless;

	c->endless = true;
	(void)caller_ask(c, b, CALL_GIVE_BACK);
	c->endless = endless;
	return PM_AGAIN;
}

static void *
caller_alloc(void *ctx, size_t n)
{
	struct caller *c = ctx;

	return arena_alloc(c->arena, n);
}

static int32_t
caller_cancelled(void *ctx)
{
	const struct caller *c = ctx;

	return (slot_peek_note(c->task->slot) & c->unwanted) != 0;
}

int32_t
caller_permit(struct caller *c, struct backend *b, enum call_class cls)
{
	const struct task *t = c->task;

	if (t->verdict == VERDICT_NONE || (t->verdict == VERDICT_GO && t->held != b->gate))
		return caller_ask(c, b, cls);
	return t->verdict == VERDICT_GO       ? PM_OK
	       : t->verdict == VERDICT_CLOSED ? PM_CANCELLED
					      : PM_TEMP;
}

static void
caller_say_why(const struct caller *c, const struct backend *b, int32_t rc, char *text, size_t cap)
{
	if (rc != PM_TEMP)
		text[0] = '\0';
	else if (c->task->verdict == VERDICT_TIMEOUT)
		snprintf(text, cap,
			 "section %s: waited too long for one of its %u permits (permits, wait_ms "
			 "= %llds)",
			 b->section, b->limits.permits, (long long)b->limits.wait_ms / 1000);
	else
		snprintf(text, cap,
			 "section %s: its line is full (queue_max = %u), or it failed and is not "
			 "asked for a moment",
			 b->section, b->limits.queue_max);
}

int32_t
caller_enter(struct caller *c, struct backend *b, enum call_class cls, const char *method,
	     int64_t ms, struct host_call *call)
{
	int32_t rc = caller_permit(c, b, cls);
	int64_t now_ms;

	caller_say_why(c, b, rc, call->error, sizeof(call->error));
	if (rc != PM_OK)
		return rc;
	now_ms = mono_ms();
	call->alloc = caller_alloc;
	call->cancelled = caller_cancelled;
	call->ctx = c;
	host_call_init(call, now_ms + ms, c->task->id);
	pool_calling(method, now_ms, now_ms + ms);
	return PM_OK;
}

int32_t
caller_enter_home(struct caller *c, struct backend *b, const char *method, int64_t ms,
		  struct host_call *call)
{
	const struct task *t = c->task;

	return t->verdict == VERDICT_GO && t->held == b->gate
		       ? caller_enter(c, b, CALL_GIVE_BACK, method, ms, call)
		       : caller_ask_home(c, b); /* another verdict belonged to another wait */
}

int32_t
caller_done(struct caller *c, int32_t rc)
{
	c->task->backend_failed = host_backend_failed(rc);
	return rc;
}

void
caller_log(const struct caller *c, const struct backend *b, const char *method, int32_t rc,
	   const char *text, const char *user, size_t user_n)
{
	static struct log_rate rate; /* a dead backend fails every session */
	uint64_t held = 0;
	struct log_line l;

	if (host_backend_failed(rc) && !log_rate_pass(&rate, &held))
		return;
	log_begin(&l, LOG_LVL_WARNING, "module-call");
	log_cstr(&l, "section", b->section);
	log_cstr(&l, "method", method);
	log_cstr(&l, "result", host_code_name(rc));
	if (user)
		log_str(&l, "user", user, user_n);
	log_num(&l, "session", c->task->id);
	if (held > 0)
		log_num(&l, "held_back", held);
	if (*text)
		log_textf(&l, "%s", text);
	log_end(&l);
}
