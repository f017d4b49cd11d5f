/* SPDX-License-Identifier: Apache-2.0 */
#include "session/ask.h"

#include "base/clock.h"
#include "base/log.h"
#include "work/pool.h"
#include "work/slot.h"

enum move
ask_permit(struct asker *a, struct backend *b, enum call_class cls, bool endlessly)
{
	struct task *t = a->talk->task;

	a->asked_ms = mono_ms();
	t->waiting_since_ms = 0; /* the gate sets it when there is a wait */
	t->need = b->gate;
	t->call_class = (uint8_t)cls;
	t->wait_until_ms = cls == CALL_BEGIN || endlessly ? 0 : a->asked_ms + a->talk->idle_ms;
	return MOVE_PERMIT;
}

bool
ask_granted(struct asker *a, int32_t *ret_rc)
{
	if (a->asked_ms != 0)
		talk_excuse(a->talk, mono_ms() - a->asked_ms);
	a->asked_ms = 0;
	if (a->talk->task->verdict == VERDICT_GO)
		return true;
	*ret_rc = a->talk->task->verdict == VERDICT_CLOSED ? PM_CANCELLED : PM_TEMP;
	return false;
}

static void *
ask_call_alloc(void *ctx, size_t n)
{
	struct asker *a = ctx;

	return arena_alloc(a->arena, n);
}

static int32_t
ask_call_cancelled(void *ctx)
{
	struct asker *a = ctx;

	return (slot_peek_note(a->talk->task->slot) & NOTE_KICK) != 0;
}

void
ask_call(struct asker *a, struct host_call *c, const char *method, int64_t ms)
{
	int64_t deadline = mono_ms() + ms;

	c->alloc = ask_call_alloc;
	c->cancelled = ask_call_cancelled;
	c->ctx = a;
	host_call_init(c, deadline, a->talk->task->id);
	pool_calling(method, deadline);
}

void
ask_log(const struct asker *a, const struct backend *b, const char *method, int32_t rc,
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
	log_num(&l, "session", a->talk->task->id);
	if (held > 0)
		log_num(&l, "held_back", held);
	if (*text)
		log_textf(&l, "%s", text);
	log_end(&l);
}
