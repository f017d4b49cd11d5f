/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmdline - the options of a program: one table, for getopt_long(3) and for the usage. --version
 * and --help (-V, -h) belong to every program, and are answered here. Main thread.
 */
#ifndef RST_BASE_CMDLINE_H
#define RST_BASE_CMDLINE_H

#include <stdio.h>

#define CMDLINE_OPTIONS 40

struct cmdline_option {
	const char *name;
	char letter;       /* 0: none */
	const char *value; /* the word for its value in the usage; NULL: it takes none */
	const char *doc;   /* for the usage, where LF begins another line; NULL: it is not listed */
};

struct cmdline {
	const char *program;
	const char *synopsis;                 /* its arguments */
	const struct cmdline_option *options; /* at most CMDLINE_OPTIONS; the last has no name */
	void (*print_rest)(FILE *to);         /* the usage below the options; NULL: there is none */
};

enum {
	CMDLINE_END = -1,    /* optind is the first argument */
	CMDLINE_WRONG = -2,  /* an unknown option, or one without its value; reported if opterr */
	CMDLINE_SERVED = -3, /* version or usage were printed: the program is done */
};

/* The next option: its index in the table, and its value (NULL without one) in *ret_value. */
int cmdline_next(const struct cmdline *l, int argc, char **argv, const char **ret_value);
void cmdline_usage(const struct cmdline *l, FILE *to);

#endif
