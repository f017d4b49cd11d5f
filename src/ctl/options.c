/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/options.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#include "base/cmdline.h"

/* Those of single verbs stand with their verbs in the usage. */
static const struct cmdline_option options[] = {
	{"config", 'c', "FILE", "configuration (default " DEFAULT_CONF ")"},
	{"socket", 's', "FILE", "control socket (default: run_dir/control of the configuration)"},
	{"json", 'j', NULL, "print JSON"},
	{"user", 'u', "NAME", NULL},
	{"password-stdin", 0, NULL, NULL},
	{"peer", 0, "ADDRESS", NULL},
	{"class", 0, "CLASS", NULL},
	{"reason", 0, "TEXT", NULL},
	{"code", 0, "X.Y.Z", NULL},
	{"sender", 0, "ADDRESS", NULL},
	{"sender-domain", 0, "NAME", NULL},
	{"recipient", 0, "ADDRESS", NULL},
	{"source", 0, "SOURCE", NULL},
	{"since", 0, "TIME", NULL},
	{"before", 0, "TIME", NULL},
	{"limit", 0, "N", NULL},
	{"after", 0, "ID", NULL},
	{"domain", 0, "NAME", NULL},
	{"all", 0, NULL, NULL},
	{"list", 0, NULL, NULL},
	{"dry-run", 0, NULL, NULL},
	{"recount", 0, NULL, NULL},
	{"unmarked", 0, NULL, NULL},
	{NULL, 0, NULL, NULL},
};

static bool
options_keep(struct ctl *c, const struct cmdline_option *o, const char *value)
{
	switch (o->letter) {
	case 'c':
		c->conf_file = value;
		return true;
	case 's':
		c->socket = value;
		return true;
	case 'j':
		c->json = true;
		return true;
	default:
		if (c->n_given == OPTIONS_MAX)
			return false;
		c->given[c->n_given].name = o->name;
		c->given[c->n_given++].value = value ? value : "";
		return true;
	}
}

static struct cmdline
options_line(void (*print_verbs)(FILE *to))
{
	return (struct cmdline){"restantectl", "[-c FILE] [-s SOCKET] [--json] VERB", options,
				print_verbs};
}

void
options_usage(FILE *to, void (*print_verbs)(FILE *to))
{
	const struct cmdline line = options_line(print_verbs);

	cmdline_usage(&line, to);
}

int
options_read(struct ctl *c, int argc, char **argv, void (*print_verbs)(FILE *to))
{
	const struct cmdline line = options_line(print_verbs);
	const char *value;
	int opt;

	*c = (struct ctl){.conf_file = DEFAULT_CONF};
	while ((opt = cmdline_next(&line, argc, argv, &value)) >= 0)
		if (!options_keep(c, &options[opt], value)) {
			fprintf(stderr, "restantectl: too many options\n");
			return EX_USAGE;
		}
	if (opt == CMDLINE_SERVED)
		return EX_OK;
	if (opt == CMDLINE_WRONG || optind >= argc) {
		cmdline_usage(&line, stderr);
		return EX_USAGE;
	}
	c->verb = argv[optind];
	c->argc = argc - optind - 1;
	c->argv = argv + optind + 1;
	return -1;
}

const char *
options_get(const struct ctl *c, const char *name)
{
	for (size_t i = 0; i < c->n_given; i++)
		if (strcmp(c->given[i].name, name) == 0)
			return c->given[i].value;
	return NULL;
}
