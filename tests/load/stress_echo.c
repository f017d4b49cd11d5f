/* SPDX-License-Identifier: Apache-2.0 */
#include "stress_echo.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/conn.h"
#include "work/pool.h"

#define IN_MAX 128
#define OUT_MAX 8192
#define PRODUCE_BYTES (400 * 1024)
#define TURN_BYTES (64 * 1024)
#define DEADLINE_MS 100
#define FOREVER_MS 3600000

struct stress_count count;
struct gate *good, *bad;

/* ---- chance ---------------------------------------------------------------------------------- */

static _Thread_local uint64_t seed;

uint32_t
chance(uint32_t n)
{
	if (seed == 0)
		seed = (uint64_t)(uintptr_t)&seed * 0x9e3779b97f4a7c15u ^ (uint64_t)wall_ms();
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % n;
}

void
stress_point(void)
{
	uint32_t r = chance(100);

	if (r < 4)
		usleep(chance(300));
	else if (r < 20)
		sched_yield();
}

/* ---- the session ----------------------------------------------------------------------------- */

struct echo {
	struct task task;
	struct conn conn;
	uint64_t peer_key;
	_Atomic int owners;
	bool handle;  /* held, from gate `good` */
	bool leaving; /* the handle is being given back */
	bool quit, eof;
	bool parked;   /* since the last turn, or nearly */
	bool may_read; /* the socket is not known to be empty */
	int64_t until_ms;
	size_t produce; /* bytes of P still to come */
	size_t n_in, n_out;
	char line[IN_MAX]; /* the command at work */
	char in[IN_MAX], out[OUT_MAX];
};

static void
out_add(struct echo *e, const char *p, size_t n)
{
	if (n > sizeof(e->out) - e->n_out)
		abort(); /* the session's own sums */
	memcpy(e->out + e->n_out, p, n);
	e->n_out += n;
}

static void
reply(struct echo *e, char mark)
{
	e->line[0] = mark;
	out_add(e, e->line, strlen(e->line));
	out_add(e, "\n", 1);
	atomic_fetch_add(&count.commands, 1);
}

static void
fill(struct echo *e)
{
	size_t room = sizeof(e->out) / 2 - e->n_out;
	size_t n = e->produce < room ? e->produce : room;

	memset(e->out + e->n_out, '.', n);
	e->n_out += n;
	e->produce -= n;
	if (e->produce == 0)
		reply(e, 'p');
}

static int
flush(struct echo *e, size_t *sent)
{
	while (e->n_out > 0) {
		ssize_t n = conn_write(&e->conn, e->out, e->n_out);

		if (n < 0)
			return (int)n;
		memmove(e->out, e->out + n, e->n_out - (size_t)n);
		e->n_out -= (size_t)n;
		*sent += (size_t)n;
	}
	return 1;
}

static enum next
ask(struct echo *e, struct gate *g, enum call_class c)
{
	e->task.need = g;
	e->task.call_class = (uint8_t)c;
	e->task.wait_until_ms = 0;
	return NEXT_AGAIN;
}

/* A handle is given back first, whatever happens. */
static enum next
leave(struct echo *e)
{
	if (!e->handle)
		return NEXT_DONE;
	e->leaving = true;
	return ask(e, good, CALL_GIVE_BACK);
}

static enum next
park(struct echo *e, int want)
{
	e->parked = true;
	return conn_arm(&e->conn, e->task.slot, want) ? NEXT_PARK : leave(e);
}

/* The module, under a permit. */
static void
module_call(struct echo *e)
{
	pool_calling(e->line[0] == 'H' ? "hang" : "work", mono_ms(), mono_ms() + 1000);
	if (e->line[0] == 'H')
		usleep(chance(4) == 0 ? 150000 : 20000);
	else
		usleep(chance(500));
	e->task.backend_failed = e->line[0] == 'H' && chance(3) == 0;
}

/* The gate has answered. */
static enum next
on_verdict(struct echo *e)
{
	switch (e->task.verdict) {
	case VERDICT_GO:
		module_call(e);
		if (e->leaving) {
			e->handle = false;
			atomic_fetch_add(&count.given_back, 1);
			if (!e->quit)
				return NEXT_DONE;
			e->leaving = false;
			reply(e, 'q');
		} else {
			if (e->line[0] == 'G' && !e->handle) {
				e->handle = true;
				atomic_fetch_add(&count.opened, 1);
			}
			reply(e, e->line[0] == 'G' ? 'g' : 'h');
		}
		return NEXT_PARK;
	case VERDICT_CLOSED:
		atomic_fetch_add(&count.kicks, 1);
		return leave(e);
	case VERDICT_TIMEOUT:
		atomic_fetch_add(&count.gate_timeouts, 1);
		break;
	default:
		atomic_fetch_add(&count.refused, 1);
		break;
	}
	if (e->leaving)
		abort(); /* giving back is never refused */
	reply(e, '-');
	return NEXT_PARK;
}

/* True: a command was taken from the input. */
static bool
next_line(struct echo *e)
{
	char *end = memchr(e->in, '\n', e->n_in);
	size_t n;

	if (!end)
		return false;
	n = (size_t)(end - e->in);
	memcpy(e->line, e->in, n);
	e->line[n] = '\0';
	memmove(e->in, end + 1, e->n_in - n - 1);
	e->n_in -= n + 1;
	return true;
}

/* NEXT_PARK: go on with the turn. */
static enum next
run_line(struct echo *e)
{
	switch (e->line[0]) {
	case 'G':
		return ask(e, good, CALL_BEGIN);
	case 'H':
		return ask(e, bad, chance(2) ? CALL_BEGIN : CALL_CONTINUE);
	case 'P':
		e->produce = PRODUCE_BYTES;
		fill(e);
		return NEXT_PARK;
	case 'Q':
		e->quit = true;
		if (e->handle)
			return leave(e);
		reply(e, 'q');
		return NEXT_PARK;
	case 'D':
		e->until_ms = mono_ms() + DEADLINE_MS;
		slot_set_deadline(e->task.slot, e->until_ms);
		reply(e, 'd');
		return NEXT_PARK;
	default:
		reply(e, 'e');
		return NEXT_PARK;
	}
}

/* False: park for *ret_want, or (0) the session ends. */
static bool
get_input(struct echo *e, int *ret_want)
{
	ssize_t n = CONN_WANT_READ;

	if (e->may_read)
		n = conn_read(&e->conn, e->in + e->n_in, sizeof(e->in) - e->n_in);
	if (n == CONN_WANT_READ || n == CONN_WANT_WRITE) {
		*ret_want = (int)n;
		return false;
	}
	if (n == CONN_FAIL) {
		*ret_want = 0;
		return false;
	}
	e->eof = n == CONN_EOF;
	e->n_in += (size_t)n;
	e->may_read = !e->conn.short_read;
	return true;
}

/* Input, output, commands, until one of them ends the turn. */
static enum next
work(struct echo *e)
{
	size_t sent = 0;

	for (;;) {
		int rc = flush(e, &sent), want;

		if (rc == CONN_WANT_WRITE || rc == CONN_WANT_READ)
			return park(e, rc);
		if (rc != 1 || e->quit)
			return leave(e);
		if (sent > TURN_BYTES)
			return NEXT_AGAIN; /* after the others */
		if (e->produce > 0) {
			fill(e);
		} else if (next_line(e)) {
			enum next next = run_line(e);

			if (next != NEXT_PARK)
				return next;
		} else if (e->eof) {
			return leave(e);
		} else if (!get_input(e, &want)) {
			return want ? park(e, want) : leave(e);
		}
	}
}

static enum next
turn(struct echo *e)
{
	unsigned note = slot_take_note(e->task.slot);
	enum next next;

	atomic_fetch_add(&count.turns, 1);
	if (note & NOTE_HUP)
		atomic_fetch_add(&count.hups, 1);
	/* not after a turn in the queue or at a gate: that edges may be spent there is conn_arm's
	 * care */
	e->may_read = e->may_read || e->parked;
	e->parked = false;
	if (e->task.verdict != VERDICT_NONE) {
		next = on_verdict(e);
		if (next != NEXT_PARK)
			return next;
	}
	if (note & NOTE_KICK) {
		atomic_fetch_add(&count.kicks, 1);
		return leave(e);
	}
	if (mono_ms() >= e->until_ms) {
		atomic_fetch_add(&count.deadlines, 1);
		return leave(e);
	}
	return work(e);
}

static enum next
echo_step(struct task *t)
{
	struct echo *e = (struct echo *)t;
	enum next next;

	if (atomic_fetch_add(&e->owners, 1) != 0)
		atomic_fetch_add(&count.double_owners, 1);
	next = turn(e);
	atomic_fetch_sub(&e->owners, 1);
	return next;
}

static void
echo_close(struct task *t)
{
	struct echo *e = (struct echo *)t;

	if (atomic_load(&e->owners) != 0)
		atomic_fetch_add(&count.double_owners, 1);
	conn_shutdown(&e->conn);
	conn_close(&e->conn);
	door_leave(e->peer_key);
	free(e);
	atomic_fetch_sub(&count.alive, 1);
}

struct task *
echo_new(const struct listener *l, int fd, const struct peer *p)
{
	struct echo *e = calloc(1, sizeof(*e));

	(void)l;
	if (!e)
		return NULL;
	e->task.step = echo_step;
	e->task.close = echo_close;
	e->task.who_key = e->task.id = atomic_fetch_add(&count.sessions, 1) + 1;
	e->peer_key = p->key;
	conn_init(&e->conn, fd);
	if (!slot_take(&e->task)) {
		free(e);
		return NULL;
	}
	atomic_fetch_add(&count.alive, 1);
	e->parked = true;
	e->until_ms = mono_ms() + FOREVER_MS;
	slot_set_deadline(e->task.slot, e->until_ms);
	if (!conn_arm(&e->conn, e->task.slot, CONN_WANT_READ))
		atomic_fetch_add(&count.failures, 1);
	return &e->task;
}
