/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree - the text of a configuration as settings and blocks, each with its place. Pure but for
 * the names that match a pattern; other files (include, file:) are read by the caller.
 *
 *   key = value            # comment
 *   kind name {            blocks: one setting a line inside
 *   }
 *   include other.conf     also with a pattern of glob(7)
 *
 * A value is the rest of the line, trimmed; "in quotes" when it must keep spaces or hold a '#' (\"
 * \\ and \$ inside). ${NAME} stands for an environment variable, file:PATH as a whole value for the
 * first line of that file (passwords). File names are relative to the file they stand in.
 */
#ifndef RST_CONF_TREE_H
#define RST_CONF_TREE_H

#include "base/arena.h"
#include "conf/conf.h"

struct conf_node {
	struct conf_node *next;
	const char *key;   /* of a setting; kind of a block */
	const char *value; /* of a setting; name of a block ("" without) */
	bool block;
	struct conf_node *children; /* of a block */
	struct conf_where where;    /* of the key */
	bool used;                  /* set by the schema */
};

/* How another file is read: malloc'd, the caller wipes and frees it; NULL: reported, at w. */
enum tree_kind { TREE_INCLUDED, TREE_SECRET };
typedef char *tree_open_fn(const char *file, enum tree_kind kind, struct conf_errors *e,
			   const struct conf_where *w, size_t *ret_n);

/* The top level of a text, errors reported and passed over. NULL: not even one setting. file: its
 * name. open: for include and file:, which are refused without it. */
struct conf_node *tree_parse(struct arena *a, const char *file, const char *text, size_t n,
			     tree_open_fn *open, struct conf_errors *e);

#endif
