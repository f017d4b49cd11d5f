/* SPDX-License-Identifier: Apache-2.0 */
/* tree_rig - a tree and its errors as texts, for the two programs that test conf/tree.c. */
#ifndef TESTS_UNIT_TREE_RIG_H
#define TESTS_UNIT_TREE_RIG_H

#include "conf/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) s, sizeof(s) - 1
#define ARENA_MAX (8u << 20)

static struct arena arena;
static char tree_text[16384], error_text[16384];

static void __attribute__((format(printf, 2, 3))) add(char *to, const char *fmt, ...)
{
	size_t n = strlen(to);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to + n, sizeof(tree_text) - n, fmt, ap);
	va_end(ap);
}

/* "line:column text", after the last part of a real file's name. */
static void
keep_error(void *ctx, const struct conf_where *w, const char *text)
{
	const char *slash = strrchr(w->file, '/');

	(void)ctx;
	add(error_text, "%s%s%u:%u %s\n", slash ? slash + 1 : "", slash ? ":" : "", w->line,
	    w->column, text);
}

/* key=value; and kind name{...} */
static void
show(const struct conf_node *n)
{
	for (; n; n = n->next) {
		add(tree_text, n->block ? "%s %s{" : "%s=%s;", n->key, n->value);
		if (n->block) {
			show(n->children);
			add(tree_text, "}");
		}
	}
}

/* Each error begins with a line of `expected`, and there are no others. */
static void
errors_begin(const char *text, const char *expected)
{
	const char *said = error_text;

	while (*expected) {
		size_t n = strcspn(expected, "\n");

		if (strncmp(said, expected, n) != 0)
			fail_msg("'%s': expected\n%s in\n%s", text, expected, error_text);
		expected += n + (expected[n] == '\n');
		said += strcspn(said, "\n");
		said += *said == '\n';
	}
	if (*said)
		fail_msg("'%s': not expected: %s", text, said);
}

#endif
