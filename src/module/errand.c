/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An errand is a task like a session: it asks for a permit, makes one call, gives the permit back,
 * and goes again until the call is done. It ends by itself when its deadline comes while it waits.
 */
#include "module/errand.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

#define ARENA_MAX (256u << 10)

static void *
errand_alloc(void *ctx, size_t n)
{
	struct errand *e = ctx;

	return arena_alloc(&e->arena, n);
}

/* restantectl kick, or the end of the server. */
static int32_t
errand_unwanted(void *ctx)
{
	const struct errand *e = ctx;

	return (slot_peek_note(e->task.slot) & (NOTE_KICK | NOTE_DRAIN)) != 0;
}

static void
errand_close(struct task *t)
{
	struct errand *e = (struct errand *)t;

	arena_reset(&e->arena);
	backend_put(e->backend);
	conf_put(e->conf);
	free(e);
}

static enum next
errand_end(struct errand *e, int32_t rc)
{
	e->finish(e, rc);
	return NEXT_DONE;
}

static enum next
errand_ask(struct errand *e)
{
	if (e->holding)
		e->task.call_class = CALL_GIVE_BACK;
	e->task.need = e->backend->gate;
	e->task.wait_until_ms = e->holding ? 0 : e->deadline_ms;
	return NEXT_AGAIN;
}

static enum next
errand_step(struct task *t)
{
	struct errand *e = (struct errand *)t;
	int64_t deadline;
	int32_t rc;

	switch ((enum verdict)t->verdict) {
	case VERDICT_NONE:
		if (e->backend)
			return errand_ask(e);
		break;
	case VERDICT_GO:
		break;
	case VERDICT_TIMEOUT:
		return errand_end(e, PM_TIMEOUT);
	default:
		return errand_end(e, PM_TEMP);
	}
	if (e->backend) {
		deadline = mono_ms() + (e->call_ms > 0 ? e->call_ms : e->backend->limits.call_ms);
		host_call_init(&e->call, deadline, 0);
		pool_calling(e->name, deadline);
	}
	rc = e->run(e);
	t->backend_failed = t->backend_failed || host_backend_failed(rc);
	if (rc != PM_AGAIN)
		return errand_end(e, rc);
	if (e->holding)
		return errand_ask(e);
	if (errand_unwanted(e))
		return errand_end(e, PM_CANCELLED);
	if (mono_ms() >= e->deadline_ms)
		return errand_end(e, PM_TIMEOUT);
	return t->need || !e->backend ? NEXT_AGAIN : errand_ask(e); /* caller_ask has asked */
}

void
errand_go(struct errand *e, struct backend *b, int cls)
{
	struct backend *old = e->backend;

	e->backend = backend_ref(b);
	backend_put(old);
	e->task.call_class = (uint8_t)cls;
}

bool
errand_should_end(struct errand *e)
{
	return errand_unwanted(e) || mono_ms() >= e->deadline_ms;
}

bool
errand_start(const struct errand *templ, int cls, bool probe)
{
	struct errand *e = calloc(1, sizeof(*e));
	struct slot_record r = {.kind = "errand", .state = "errand"};

	if (!e)
		return false;
	e->conf = conf_ref(templ->conf);
	e->backend = backend_ref(templ->backend);
	e->name = templ->name;
	e->run = templ->run;
	e->finish = templ->finish;
	e->ctx = templ->ctx;
	e->deadline_ms = templ->deadline_ms;
	arena_init(&e->arena, ARENA_MAX);
	e->caller = (struct caller){.task = &e->task,
				    .arena = &e->arena,
				    .unwanted = NOTE_KICK | NOTE_DRAIN,
				    .until_ms = e->deadline_ms};
	e->call.alloc = errand_alloc;
	e->call.cancelled = errand_unwanted;
	e->call.ctx = e;
	e->task.step = errand_step;
	e->task.close = errand_close;
	e->task.call_class = (uint8_t)cls;
	e->task.probe = probe;
	e->task.background = cls == CALL_GIVE_BACK; /* ticks alone give nothing back to anybody */
	e->task.slot = slot_take(&e->task);
	if (!e->task.slot) {
		errand_close(&e->task);
		return false;
	}
	strncpy(r.user, e->name, sizeof(r.user) - 1);
	r.since_ms = r.last_byte_ms = mono_ms();
	slot_publish(e->task.slot, &r);
	slot_set_queued(e->task.slot);
	queue_push(&e->task);
	return true;
}

/* ---- ticks ----------------------------------------------------------------------------------- */

static int32_t
errand_tick_run(struct errand *e)
{
	return host_tick(e->backend->inst, &e->call);
}

static void
errand_tick_finish(struct errand *e, int32_t rc)
{
	if (rc != PM_OK)
		log_msg(LOG_LVL_WARNING, "tick", "section %s: %s %s", e->backend->section,
			host_code_name(rc), e->call.error);
	atomic_store(&e->backend->tick_due_ms, mono_ms() + e->backend->inst->desc->life->tick_ms);
	atomic_store(&e->backend->ticking, false);
}

/* Only the acceptor plans; a worker's tick_finish ends it. */
static void
tick_section(struct conf *c, struct conf_section *s, int64_t now_ms)
{
	struct errand e = {.conf = c,
			   .backend = s->backend,
			   .name = "tick",
			   .run = errand_tick_run,
			   .finish = errand_tick_finish,
			   .deadline_ms = now_ms + 60000};
	struct backend *be = s->backend;
	const struct pm_life *life = be && be->gate ? be->inst->desc->life : NULL;

	if (!life || !life->tick || !life->tick_ms || atomic_load(&be->ticking))
		return;
	/* 0: never yet, so at once: what a crash left half done is not to wait for its first
	 * visitor */
	if (now_ms < atomic_load(&be->tick_due_ms))
		return;
	atomic_store(&be->ticking, true);
	if (!errand_start(&e, CALL_GIVE_BACK, false))
		atomic_store(&be->ticking, false); /* no slot: with the next tick */
}

void
errand_tick(int64_t now_ms)
{
	struct conf *c = conf_current();

	for (size_t i = 0; c && i < c->n_auth; i++)
		tick_section(c, &c->auth[i], now_ms);
	for (size_t i = 0; c && i < c->n_storage; i++)
		tick_section(c, &c->storage[i], now_ms);
	conf_put(c);
}

/* ---- probes ---------------------------------------------------------------------------------- */

static int32_t
probe_run(struct errand *e)
{
	return host_probe(e->backend->inst, &e->call);
}

static void
probe_finish(struct errand *e, int32_t rc)
{
	gate_probe_result(e->backend->gate, rc == PM_OK);
}

static struct backend *
errand_find_gate(struct conf_section *list, size_t n, const struct gate *g)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].backend && list[i].backend->gate == g)
			return list[i].backend;
	return NULL;
}

void
errand_probe(struct gate *g)
{
	struct conf *c = conf_current();
	struct errand e = {.conf = c,
			   .name = "probe",
			   .run = probe_run,
			   .finish = probe_finish,
			   .deadline_ms = mono_ms() + 10000};

	if (c)
		e.backend = errand_find_gate(c->auth, c->n_auth, g);
	if (c && !e.backend)
		e.backend = errand_find_gate(c->storage, c->n_storage, g);
	/* a section that was removed needs no breaker any more */
	if (!e.backend || !errand_start(&e, CALL_BEGIN, true))
		gate_probe_result(g, !e.backend);
	conf_put(c);
}
