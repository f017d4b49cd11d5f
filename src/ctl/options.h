/* SPDX-License-Identifier: Apache-2.0 */
/* options - the command line of restantectl, taken apart. */
#ifndef RST_CTL_OPTIONS_H
#define RST_CTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define OPTIONS_MAX 32

struct ctl {
	const char *conf_file;
	const char *socket; /* NULL: run_dir of the configuration */
	bool json;
	struct {
		const char *name, *value;
	} given[OPTIONS_MAX]; /* all options but those above */
	size_t n_given;
	const char *verb;
	int argc; /* arguments after the verb */
	char **argv;
};

/* -1: c is filled; else the exit code: the usage was printed, or an error. print_verbs: the
 * usage below the options. */
int options_read(struct ctl *c, int argc, char **argv, void (*print_verbs)(FILE *to));

/* The usage of the program. */
void options_usage(FILE *to, void (*print_verbs)(FILE *to));

/* The value of an option ("" for one that takes none); NULL: it was not given. */
const char *options_get(const struct ctl *c, const char *name);

#endif
