/* SPDX-License-Identifier: Apache-2.0 */
/* line - tasks one after the other, by their intrusive link. Pure; the caller holds the lock. */
#ifndef RST_WORK_LINE_H
#define RST_WORK_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "work/task.h"

struct line {
	struct task *head, *tail;
	uint32_t n;
};

static inline void
line_add(struct line *l, struct task *t)
{
	t->link = NULL;
	if (l->tail)
		l->tail->link = t;
	else
		l->head = t;
	l->tail = t;
	l->n++;
}

/* before: the task in front of t; NULL when t is the head. */
static inline void
line_remove(struct line *l, struct task *before, struct task *t)
{
	if (before)
		before->link = t->link;
	else
		l->head = t->link;
	if (l->tail == t)
		l->tail = before;
	l->n--;
}

#endif
