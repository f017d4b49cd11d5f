/* SPDX-License-Identifier: Apache-2.0 */
#include "module/errand.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failing.h"
#include "base/log.h"
#include "host/answer.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"

#define ARENA_MAX (256u << 10)

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
errand_step(struct task *t)
{
	struct errand *e = (struct errand *)t;
	int32_t rc = e->run(e);

	if (rc != PM_AGAIN)
		return errand_end(e, rc);
	if (e->caller.holds > 0)
		return NEXT_AGAIN;
	if (mono_ms() >= e->deadline_ms)
		return errand_end(e, PM_TIMEOUT);
	return caller_should_end(&e->caller) ? errand_end(e, PM_CANCELLED) : NEXT_AGAIN;
}

int32_t
errand_enter(struct errand *e, enum call_class cls)
{
	return caller_enter(&e->caller, e->backend, cls, e->name, e->backend->limits.call_ms,
			    &e->call);
}

bool
errand_start(const struct errand *templ)
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
	e->task.step = errand_step;
	e->task.close = errand_close;
	e->task.probe = templ->probe;
	e->task.background = templ->background;
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
	int32_t rc = errand_enter(e, CALL_GIVE_BACK);

	if (rc != PM_OK)
		return rc;
	if (atomic_exchange(&e->backend->reloaded, false))
		e->call.pm.flags |= PM_CALLF_RELOADED;
	return caller_done(&e->caller, host_tick(e->backend->inst, &e->call));
}

/* A server that is down for a night is a line, not one every two seconds. */
static void
errand_tick_tell(struct errand *e, int32_t rc)
{
	const char *section = e->backend->section;
	uint64_t n;

	switch (failing_turn(&e->backend->tick_fails, rc == PM_OK, mono_ms(), &n)) {
	case FAILING_BEGINS:
		log_msg(LOG_LVL_WARNING, "tick", "section %s: %s %s", section, host_code_name(rc),
			e->call.error);
		break;
	case FAILING_STILL:
		log_msg(LOG_LVL_WARNING, "tick",
			"section %s still fails, %" PRIu64 " times in a row: %s %s", section, n,
			host_code_name(rc), e->call.error);
		break;
	case FAILING_OVER:
		log_msg(LOG_LVL_NOTICE, "tick",
			"section %s works again, after %" PRIu64 " failures", section, n);
		break;
	default:
		break;
	}
}

static void
errand_tick_finish(struct errand *e, int32_t rc)
{
	errand_tick_tell(e, rc);
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
			   .background = true,
			   .run = errand_tick_run,
			   .finish = errand_tick_finish,
			   .deadline_ms = now_ms + 60000};
	struct backend *be = s->backend;
	const struct pm_life *life = be && be->gate ? be->inst->desc->life : NULL;

	if (!life || !life->tick || !life->tick_ms || atomic_load(&be->ticking))
		return;
	/* 0: never yet, so at once: work that a crash left half done does not wait for its first
	 * visitor */
	if (now_ms < atomic_load(&be->tick_due_ms))
		return;
	atomic_store(&be->ticking, true);
	if (!errand_start(&e))
		atomic_store(&be->ticking, false); /* no slot: the next tick tries again */
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
	int32_t rc = errand_enter(e, CALL_BEGIN);

	return rc == PM_OK ? caller_done(&e->caller, host_probe(e->backend->inst, &e->call)) : rc;
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
			   .probe = true,
			   .run = probe_run,
			   .finish = probe_finish,
			   .deadline_ms = mono_ms() + 10000};

	if (c)
		e.backend = errand_find_gate(c->auth, c->n_auth, g);
	if (c && !e.backend)
		e.backend = errand_find_gate(c->storage, c->n_storage, g);
	/* a section that was removed needs no breaker any more */
	if (!e.backend || !errand_start(&e))
		gate_probe_result(g, !e.backend);
	conf_put(c);
}
