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
#include <time.h>

#include "admin/to_main.h"
#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "sd.h"
#include "service.h"

static void
main_usage(FILE *to)
{
	fprintf(to,
		"usage: restanted [-c FILE] [-t | -T]\n"
		"  -c, --config FILE   configuration (default %s)\n"
		"  -t, --test          check the configuration and its modules, print all errors, "
		"end\n"
		"  -T, --dump          the same, then print the settings in force, defaults "
		"included\n"
		"  -V, --version       print the version, end\n"
		"  -h, --help          print this, end\n"
		"restanted stays in the foreground. See restanted(8).\n",
		DEFAULT_CONF);
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

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
		{"dump", no_argument, NULL, 'T'},         {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	const char *conf_file = DEFAULT_CONF;
	bool test = false, dump = false;
	sigset_t set;
	int opt;

	signals_block(&set);
	while ((opt = getopt_long(argc, argv, "c:tTVh", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			conf_file = optarg;
			break;
		case 't':
			test = true;
			break;
		case 'T':
			test = dump = true;
			break;
		case 'V':
			printf("restanted %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			main_usage(stdout);
			return 0;
		default:
			main_usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "restanted: '%s' is not an option\n", argv[optind]);
		main_usage(stderr);
		return EXIT_USAGE;
	}
	umask(077);
	if (test)
		return service_check(conf_file, dump);

	int rc = service_start(conf_file);

	if (rc != 0)
		return rc;
	sd_tell("READY=1");
	main_serve(&set);
	main_drain(&set);
	return service_stop();
}
