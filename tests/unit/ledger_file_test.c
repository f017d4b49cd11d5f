/* SPDX-License-Identifier: Apache-2.0 */
/* A ledger's file, with two writers. */
#include "ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "ledger"
#define SIGNALS 50 /* the first ones may come before it waits for the lock */

static volatile sig_atomic_t interrupted;

struct other {
	int dir, fd;
	pthread_t waiting;
};

static void
on_signal(int sig)
{
	(void)sig;
	interrupted++;
}

static void
put(struct ledger_out *o, const char *identity)
{
	ledger_put_message(o, identity, strlen(identity), identity, strlen(identity), 10, 10, 0, 0);
}

static int
append(int dir, const char *identity)
{
	struct ledger_out o = {0};
	int e;

	put(&o, identity);
	e = ledger_append(dir, NAME, o.text, o.n, true);
	ledger_out_free(&o);
	return e;
}

/* Interrupts the thread that waits for the lock, rewrites the ledger, and releases the lock. */
static void *
replace(void *ctx)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const struct other *x = ctx;
	struct ledger_out o = {0};
	int fd;

	while (interrupted < SIGNALS) {
		pthread_kill(x->waiting, SIGUSR1);
		(void)nanosleep(&pause, NULL);
	}
	ledger_put_header(&o);
	put(&o, "anew");
	fd = openat(x->dir, NAME ".anew", O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1 || write(fd, o.text, o.n) != (ssize_t)o.n || close(fd) != 0 ||
	    renameat(x->dir, NAME ".anew", x->dir, NAME) != 0 || close(x->fd) != 0)
		abort();
	ledger_out_free(&o);
	return NULL;
}

static void
a_signal_does_not_take_the_lock_away(void **state)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct sigaction sa = {.sa_handler = on_signal}; /* without SA_RESTART */
	char path[] = "/tmp/rst-ledger.XXXXXX";
	struct other x = {.waiting = pthread_self()};
	size_t good, bad;
	struct ledger *l;
	pthread_t t;

	(void)state;
	assert_non_null(mkdtemp(path));
	x.dir = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(append(x.dir, "before"), 0);
	x.fd = openat(x.dir, NAME, O_RDWR);
	assert_int_equal(fcntl(x.fd, F_OFD_SETLK, &fl), 0);
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	assert_int_equal(pthread_create(&t, NULL, replace, &x), 0);
	assert_int_equal(append(x.dir, "after"), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	l = ledger_load(x.dir, NAME, &good, &bad);
	assert_non_null(ledger_find(l, "anew", 4));
	assert_non_null(ledger_find(l, "after", 5));
	ledger_free(l);
	assert_int_equal(unlinkat(x.dir, NAME, 0), 0);
	(void)close(x.dir);
	assert_int_equal(rmdir(path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_does_not_take_the_lock_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
