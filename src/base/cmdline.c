/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cmdline.h"

#include <getopt.h>
#include <string.h>

#include "config.h"

#define FIRST_VAL 256 /* getopt_long returns FIRST_VAL + index for these: above all letters */

static const struct cmdline_option everybodys[] = {
	{"version", 'V', NULL, "print the version, end"},
	{"help", 'h', NULL, "print this, end"},
	{NULL, 0, NULL, NULL},
};

/* "-c, --config FILE" or "    --json"; returns its length. */
static int
option_text(const struct cmdline_option *o, char *buf, size_t cap)
{
	const char *blank = o->value ? " " : "", *value = o->value ? o->value : "";

	if (!o->letter)
		return snprintf(buf, cap, "    --%s%s%s", o->name, blank, value);
	return snprintf(buf, cap, "-%c, --%s%s%s", o->letter, o->name, blank, value);
}

static int
widest(const struct cmdline_option *o)
{
	char buf[80];
	int width = 0;

	for (; o->name; o++) {
		int n = o->doc ? option_text(o, buf, sizeof(buf)) : 0;

		width = n > width ? n : width;
	}
	return width;
}

static void
print_options(FILE *to, const struct cmdline_option *o, int width)
{
	char buf[80];

	for (; o->name; o++) {
		const char *doc = o->doc, *lf;

		if (!doc)
			continue;
		(void)option_text(o, buf, sizeof(buf)); /* names are short */
		fprintf(to, "  %-*s  ", width, buf);
		while ((lf = strchr(doc, '\n')) != NULL) {
			fprintf(to, "%.*s\n%*s", (int)(lf - doc), doc, width + 4, "");
			doc = lf + 1;
		}
		fprintf(to, "%s\n", doc);
	}
}

void
cmdline_usage(const struct cmdline *l, FILE *to)
{
	int own = widest(l->options), all = widest(everybodys);

	fprintf(to, "usage: %s %s\n", l->program, l->synopsis);
	print_options(to, l->options, own > all ? own : all);
	print_options(to, everybodys, own > all ? own : all);
	if (l->print_rest)
		l->print_rest(to);
}

/* An option for getopt_long, which returns `val` for it. */
static struct option
long_option(const struct cmdline_option *o, int val, char **shorts)
{
	if (o->letter)
		*(*shorts)++ = o->letter;
	if (o->letter && o->value)
		*(*shorts)++ = ':';
	return (struct option){o->name, o->value ? required_argument : no_argument, NULL, val};
}

static int
index_of(const struct cmdline_option *o, int letter)
{
	int i = 0;

	while (o[i].name && o[i].letter != letter)
		i++;
	return o[i].name ? i : -1;
}

int
cmdline_next(const struct cmdline *l, int argc, char **argv, const char **ret_value)
{
	struct option longs[CMDLINE_OPTIONS + 3] = {{0}};
	char shorts[2 * CMDLINE_OPTIONS + 8] = "", *at = shorts;
	int n = 0, got;

	for (; l->options[n].name && n < CMDLINE_OPTIONS; n++)
		longs[n] = long_option(&l->options[n], FIRST_VAL + n, &at);
	for (int k = 0; everybodys[k].name; k++)
		longs[n + k] = long_option(&everybodys[k], everybodys[k].letter, &at);
	got = getopt_long(argc, argv, shorts, longs, NULL);
	*ret_value = optarg;
	if (got == -1)
		return CMDLINE_END;
	if (got >= FIRST_VAL)
		return got - FIRST_VAL;
	if (got == 'V')
		printf("%s %s\n", l->program, PACKAGE_VERSION);
	else if (got == 'h')
		cmdline_usage(l, stdout);
	else
		return got == '?' ? CMDLINE_WRONG : index_of(l->options, got);
	return CMDLINE_SERVED;
}
