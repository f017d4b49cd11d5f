/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread: sockets in, edges and deadlines out to the run queue. It never runs a session, never
 * waits for anything but epoll, and never without a timeout, because four times a second it looks
 * at deadlines, gates and overdue calls.
 *
 * Events that are not a session's carry a number below 2^32 (pollset.h): 0 the wake-up descriptor,
 * i + 1 listener i.
 *
 * Listeners are level-triggered and accepted from in batches, so that a flood of newcomers does not
 * keep running sessions waiting. When no more can be accepted - no descriptors, or the run queue
 * lags - the listeners leave the epoll set for a while: new connections wait in the kernel's
 * backlog, and nothing spins.
 */
#include "net/acceptor.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/door.h"
#include "net/pollset.h"
#include "net/proxy_wait.h"
#include "work/gate.h"
#include "work/pool.h"
#include "work/queue.h"
#include "work/slot.h"
#include "work/stress.h"

#define EVENTS 256
#define BATCH 64 /* accepted from one listener before the others have their turn */
#define TICK_MS 250
#define REST_MS 250 /* listeners rest after EMFILE and the like */
#define WAKE_DATA 0
#define STACK_BYTES (512 * 1024)

struct batch {
	struct task *head, *tail;
};

static struct {
	pthread_t thread;
	bool runs;
	int wake; /* eventfd: closing and stopping do not wait for the tick */
	struct listener *listeners;
	size_t n_listeners;
	void (*tick)(int64_t now_ms);
	void (*probe)(struct gate *g);
	_Atomic bool stopping;
	/* the acceptor thread's own */
	bool armed;      /* the listeners are in the epoll set */
	int64_t rest_ms; /* they do not return to it before this time */
	int64_t ticked_ms;
	pthread_mutex_t mutex;
	pthread_cond_t closed;
	/* below: under mutex */
	bool close_asked, close_done;
} acc = {
	.wake = -1,
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.closed = PTHREAD_COND_INITIALIZER,
};

/* ---- to the run queue ------------------------------------------------------------------------ */

static void
batch_add(struct task *t, void *ctx)
{
	struct batch *b = ctx;

	t->link = NULL;
	if (b->tail)
		b->tail->link = t;
	else
		b->head = t;
	b->tail = t;
}

static void
batch_push(struct batch *b)
{
	if (b->head)
		queue_push_batch(b->head, b->tail);
	*b = (struct batch){0};
}

/* ---- listeners in and out of the epoll set --------------------------------------------------- */

static void
listeners_arm(bool on)
{
	for (size_t i = 0; i < acc.n_listeners; i++) {
		int fd = acc.listeners[i].fd;

		if (fd == -1)
			continue;
		if (!(on ? pollset_add(fd, EPOLLIN, i + 1) : pollset_remove(fd)) &&
		    errno != EEXIST && errno != ENOENT)
			log_msg(LOG_LVL_ERROR, "listener", "%s: epoll_ctl: %s (%d)",
				acc.listeners[i].name, strerrordesc_np(errno), errno);
	}
	acc.armed = on;
}

static void
listeners_rest(int64_t until_ms)
{
	listeners_arm(false);
	acc.rest_ms = until_ms;
}

/* Does the run queue lag so much that newcomers had better wait in the backlog? */
static bool
must_shed(int64_t now_ms)
{
	int64_t shed_ms = door_shed_ms();

	return shed_ms > 0 && queue_head_age_ms(now_ms) > shed_ms;
}

static void
listeners_review(int64_t now_ms)
{
	if (!acc.armed && now_ms >= acc.rest_ms && !must_shed(now_ms))
		listeners_arm(true);
}

/* ---- newcomers ------------------------------------------------------------------------------- */

static void
acceptor_newcomer(const struct listener *l, int fd, const struct sockaddr_storage *sa,
		  int64_t now_ms)
{
	enum proxy_policy policy;
	struct peer p;

	peer_from(&p, sa);
	policy = l->proxy_policy ? l->proxy_policy(l, &p) : PROXY_OFF;
	if (policy == PROXY_STRANGER) {
		proxy_wait_refuse(l, &p);
		(void)close(fd); /* without a word, as for any other stranger */
		return;
	}
	if (!door_enter(&p, policy == PROXY_TRUSTED, now_ms)) {
		door_turn_away(l, fd);
		return;
	}
	if (door_admit(l, fd, &p, policy == PROXY_TRUSTED ? proxy_wait_new : l->session_new))
		door_count(DOOR_ACCEPTED);
}

/* accept4 failed. True: try again at once. */
static bool
accept_failed(const struct listener *l, int e, int64_t now_ms)
{
	static struct log_rate files_rate, other_rate;
	uint64_t held;

	switch (e) {
	case EAGAIN:
		return false;
	case EINTR:
	case ECONNABORTED: /* this one connection's trouble, see accept(2) */
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
		return true;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		door_count(DOOR_OUT_OF_FILES);
		if (log_rate_pass(&files_rate, &held))
			log_msg(LOG_LVL_ERROR, "listener",
				"%s: %s (%d); newcomers wait. Raise LimitNOFILE or lower "
				"max_sessions",
				l->name, strerrordesc_np(e), e);
		break;
	default:
		if (log_rate_pass(&other_rate, &held))
			log_msg(LOG_LVL_ERROR, "listener", "%s: accept: %s (%d)", l->name,
				strerrordesc_np(e), e);
		break;
	}
	listeners_rest(now_ms + REST_MS);
	return false;
}

static void
accept_batch(const struct listener *l, int64_t now_ms)
{
	for (unsigned i = 0; i < BATCH && acc.armed; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		int fd;

		memset(&sa, 0, sizeof(sa));
		fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1)
			acceptor_newcomer(l, fd, &sa, now_ms);
		else if (!accept_failed(l, errno, now_ms))
			return;
	}
}

static void
on_listener(size_t i, int64_t now_ms)
{
	if (!acc.armed || acc.listeners[i].fd == -1)
		return; /* disarmed by another listener earlier in this round */
	if (must_shed(now_ms)) {
		door_count(DOOR_SHED);
		listeners_rest(now_ms);
		return;
	}
	accept_batch(&acc.listeners[i], now_ms);
}

/* ---- closing the door ------------------------------------------------------------------------ */

static void
close_if_asked(void)
{
	pthread_mutex_lock(&acc.mutex);
	if (acc.close_asked && !acc.close_done) {
		for (size_t i = 0; i < acc.n_listeners; i++) {
			if (acc.listeners[i].fd != -1)
				(void)close(acc.listeners[i].fd); /* it leaves the epoll set */
			acc.listeners[i].fd = -1;
		}
		acc.close_done = true;
		pthread_cond_signal(&acc.closed);
	}
	pthread_mutex_unlock(&acc.mutex);
}

static void
acceptor_wake(void)
{
	const uint64_t one = 1;

	while (write(acc.wake, &one, sizeof(one)) == -1 && errno == EINTR)
		; /* EAGAIN: it has been woken already */
}

static void
on_wake(void)
{
	uint64_t n;

	(void)!read(acc.wake, &n, sizeof(n)); /* only to empty it */
	close_if_asked();
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void
on_session(const struct epoll_event *e, struct batch *b)
{
	struct task *t;

	if (e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		slot_add_note(e->data.u64, NOTE_HUP);
	STRESS_POINT();
	if (slot_claim(e->data.u64, &t))
		batch_add(t, b);
}

static void
tick_if_due(int64_t now_ms)
{
	struct batch b = {0};

	if (now_ms - acc.ticked_ms < TICK_MS)
		return;
	acc.ticked_ms = now_ms;
	slot_scan_deadlines(now_ms, batch_add, &b);
	batch_push(&b);
	gate_tick(now_ms, acc.probe);
	pool_watch(now_ms);
	if (acc.tick)
		acc.tick(now_ms);
}

static int
wait_ms(int64_t now_ms)
{
	int64_t left = acc.ticked_ms + TICK_MS - now_ms;

	return left < 0 ? 0 : left > TICK_MS ? TICK_MS : (int)left;
}

static void *
acceptor_main(void *arg)
{
	static struct epoll_event events[EVENTS];
	struct batch b = {0};

	(void)arg;
	while (!atomic_load(&acc.stopping)) {
		int n = pollset_wait(events, EVENTS, wait_ms(mono_ms()));
		int64_t now_ms = mono_ms();

		/* running sessions first, newcomers after them */
		for (int i = 0; i < n; i++)
			if (events[i].data.u64 > UINT32_MAX)
				on_session(&events[i], &b);
		batch_push(&b);
		for (int i = 0; i < n; i++) {
			uint64_t data = events[i].data.u64;

			if (data == WAKE_DATA)
				on_wake();
			else if (data <= UINT32_MAX)
				on_listener((size_t)data - 1, now_ms);
		}
		tick_if_due(now_ms);
		listeners_review(now_ms);
	}
	close_if_asked();
	return NULL;
}

/* ---- start, stop ----------------------------------------------------------------------------- */

void
acceptor_set_tick(void (*fn)(int64_t now_ms))
{
	acc.tick = fn;
}

void
acceptor_set_probe(void (*fn)(struct gate *g))
{
	acc.probe = fn;
}

static bool
events_open(void)
{
	acc.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return pollset_open() && acc.wake != -1 && pollset_add(acc.wake, EPOLLIN, WAKE_DATA);
}

static void
events_close(void)
{
	pollset_close();
	if (acc.wake != -1)
		(void)close(acc.wake); /* kernel memory only */
	acc.wake = -1;
}

static bool
thread_start(void)
{
	pthread_attr_t attr;
	int rc;

	if (pthread_attr_init(&attr) != 0)
		return false;
	rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (rc == 0)
		rc = pthread_create(&acc.thread, &attr, acceptor_main, NULL);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		(void)pthread_setname_np(acc.thread, "acceptor"); /* only for top(1) */
	return rc == 0;
}

bool
acceptor_start(const struct door_limits *limits, struct listener *listeners, size_t n)
{
	acc.listeners = listeners;
	acc.n_listeners = n;
	acc.close_asked = acc.close_done = false;
	acc.rest_ms = 0;
	acc.ticked_ms = mono_ms();
	atomic_store(&acc.stopping, false);
	door_open(limits);
	if (!events_open()) {
		events_close();
		return false;
	}
	listeners_arm(true);
	acc.runs = thread_start();
	if (!acc.runs)
		events_close();
	return acc.runs;
}

void
acceptor_close_listeners(void)
{
	if (!acc.runs)
		return;
	door_close();
	pthread_mutex_lock(&acc.mutex);
	acc.close_asked = true;
	acceptor_wake();
	while (!acc.close_done)
		pthread_cond_wait(&acc.closed, &acc.mutex);
	pthread_mutex_unlock(&acc.mutex);
}

void
acceptor_stop(void)
{
	if (!acc.runs)
		return;
	acceptor_close_listeners();
	atomic_store(&acc.stopping, true);
	acceptor_wake();
	pthread_join(acc.thread, NULL);
	acc.runs = false;
	events_close();
}
