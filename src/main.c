/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restanted - options, signals, and the order of the day. The work is in service.c.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "admin/to_main.h"
#include "base/clock.h"
#include "base/cmdline.h"
#include "base/log.h"
#include "sd.h"
#include "service.h"

static void
print_rest(FILE *to)
{
	fprintf(to, "restanted stays in the foreground. See restanted(8).\n");
}

/* Threads inherit the mask: all signals wait for main's sigtimedwait. */
static void
signals_block(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	sigaddset(set, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void
main_reload(void)
{
	char *errors = NULL;

	sd_tell_reloading();
	(void)service_reload(&errors); /* logged there */
	free(errors);
	sd_tell("READY=1");
}

/* The next signal, or 0 after timeout_ms. */
static int
signal_wait(const sigset_t *set, long timeout_ms)
{
	struct timespec ts = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
	int sig = sigtimedwait(set, NULL, &ts);

	return sig > 0 ? sig : 0;
}

/* Serving, until somebody asks to end it. */
static void
main_serve(const sigset_t *set)
{
	int64_t watchdog_ms = sd_watchdog_ms();
	int64_t told_ms = 0;

	for (;;) {
		switch (signal_wait(set, 1000)) {
		case SIGTERM:
		case SIGINT:
			return;
		case SIGHUP:
			main_reload();
			break;
		case SIGUSR1:
			service_reopen_logs();
			break;
		case SIGUSR2:
			if (to_main_serve())
				return; /* restantectl drain */
			break;
		default:
			break;
		}
		service_tick();
		if (watchdog_ms > 0 && mono_ms() - told_ms >= watchdog_ms) {
			sd_tell("WATCHDOG=1");
			told_ms = mono_ms();
		}
	}
}

/* Sessions may come to their QUIT; a second signal cuts that short. */
static void
main_drain(const sigset_t *set)
{
	int64_t until_ms = mono_ms() + service_drain_ms();

	sd_tell("STOPPING=1");
	service_drain();
	while (!service_drained() && mono_ms() < until_ms) {
		int sig = signal_wait(set, 50);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR2)
			(void)to_main_serve(); /* already draining */
	}
}

/* -1: there is work; else the exit code: the option asked for no more, or the usage was wrong. */
static int
main_read_options(int argc, char **argv, const char **ret_file, bool *ret_test, bool *ret_dump)
{
	static const struct cmdline_option options[] = {
		{"config", 'c', "FILE", "configuration (default " DEFAULT_CONF ")"},
		{"test", 't', NULL,
		 "check the configuration and its modules, print all errors, end"},
		{"dump", 'T', NULL,
		 "the same, then print the settings in force, defaults included"},
		{NULL, 0, NULL, NULL},
	};
	static const struct cmdline line = {"restanted", "[-c FILE] [-t | -T]", options,
					    print_rest};
	const char *value;
	int opt;

	*ret_file = DEFAULT_CONF;
	*ret_test = *ret_dump = false;
	while ((opt = cmdline_next(&line, argc, argv, &value)) >= 0) {
		if (options[opt].letter == 'c')
			*ret_file = value;
		*ret_test = *ret_test || options[opt].letter != 'c';
		*ret_dump = *ret_dump || options[opt].letter == 'T';
	}
	if (opt == CMDLINE_SERVED)
		return EX_OK;
	if (opt == CMDLINE_END && optind == argc)
		return -1;
	if (opt == CMDLINE_END)
		fprintf(stderr, "restanted: '%s' is not an option\n", argv[optind]);
	cmdline_usage(&line, stderr);
	return EX_USAGE;
}

int
main(int argc, char **argv)
{
	const char *conf_file;
	bool test, dump;
	sigset_t set;
	int rc;

	signals_block(&set);
	rc = main_read_options(argc, argv, &conf_file, &test, &dump);
	if (rc != -1)
		return rc;
	umask(077);
	if (test)
		return service_check(conf_file, dump);
	rc = service_start(conf_file);
	if (rc != 0)
		return rc;
	sd_tell("READY=1");
	main_serve(&set);
	main_drain(&set);
	return service_stop();
}
