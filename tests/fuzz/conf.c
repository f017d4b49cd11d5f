/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_parse: positions lie inside the text, and a parsed tree, written out again in the safest
 * form, parses again without an error. ${FUZZ} has a value, ${FUZZ_LONG} one that is nearly too
 * long.
 */
#include "base/arena.h"
#include "conf/tree.h"
#include "fuzz.h"

#define MEMORY_MAX (64u << 20)
#define LONG_N 8000
#define VALUE_MAX 8191

struct seen {
	size_t lines, reports;
	size_t longest; /* of the values */
};

static void
report(void *ctx, const struct conf_where *where, const char *text)
{
	struct seen *s = ctx;

	s->reports++;
	MUST(strcmp(where->file, "fuzz.conf") == 0);
	MUST(where->column >= 1 && where->line >= 1 && where->line <= s->lines);
	MUST(text[0] != '\0' && strlen(text) < 1024);
}

static struct conf_node *
parse(struct arena *a, const char *p, size_t n, struct seen *s)
{
	struct conf_errors e = {.report = report, .ctx = s};
	char *text = fuzz_copy(p, n);
	struct conf_node *first;

	s->lines = 1;
	for (size_t i = 0; i < n; i++)
		s->lines += p[i] == '\n';
	s->reports = s->longest = 0;
	first = tree_parse(a, "fuzz.conf", text, n, NULL, &e);
	MUST(e.count == s->reports);
	free(text); /* the tree has its own copies */
	return first;
}

static void
write_value(struct fuzz_text *t, const char *value)
{
	fuzz_puts(t, " = \"");
	for (const char *p = value; *p; p++) {
		if (strchr("\"\\$", *p))
			fuzz_puts(t, "\\");
		fuzz_put(t, p, 1);
	}
	fuzz_puts(t, "\"\n");
}

static void
write_tree(struct fuzz_text *t, const struct conf_node *node, struct seen *s, unsigned depth)
{
	MUST(depth <= 16);
	for (; node; node = node->next) {
		size_t n = strlen(node->value);

		s->longest = n > s->longest ? n : s->longest;
		MUST(node->key[0] != '\0' && !node->used);
		MUST(node->where.column >= 1 && node->where.line >= 1 &&
		     node->where.line <= s->lines);
		MUST(n <= VALUE_MAX && !strchr(node->value, '\n'));
		MUST(node->block || !node->children);
		fuzz_puts(t, node->key);
		if (!node->block) {
			write_value(t, node->value);
			continue;
		}
		fuzz_puts(t, " ");
		fuzz_puts(t, node->value);
		fuzz_puts(t, node->children ? " {\n" : " { }\n");
		write_tree(t, node->children, s, depth + 1);
		fuzz_puts(t, node->children ? "}\n" : "");
	}
}

static void
set_environment(void)
{
	char value[LONG_N + 1];

	memset(value, 'x', LONG_N);
	value[LONG_N] = '\0';
	MUST(setenv("FUZZ", "a \"b\" # $c \\ {", 1) == 0);
	MUST(setenv("FUZZ_LONG", value, 1) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int ready;
	struct fuzz_text once = {0}, twice = {0};
	struct arena a;
	struct seen s;

	if (!ready)
		set_environment();
	ready = 1;
	arena_init(&a, MEMORY_MAX);
	write_tree(&once, parse(&a, (const char *)data, n, &s), &s, 0);
	arena_reset(&a);
	if (once.n > 0 && s.longest < VALUE_MAX) { /* quotes leave room for one byte less */
		write_tree(&twice, parse(&a, once.p, once.n, &s), &s, 0);
		MUST(s.reports == 0);
		MUST(fuzz_same(&once, &twice));
	}
	arena_reset(&a);
	fuzz_text_free(&once);
	fuzz_text_free(&twice);
	return 0;
}
