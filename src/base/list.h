/* SPDX-License-Identifier: Apache-2.0 */
/* list - intrusive doubly linked list; an element on no list points to itself. Pure. */
#ifndef RST_BASE_LIST_H
#define RST_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

/* The record of type t whose member m is at p. */
#define list_item(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))

static inline void
list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_append(struct list *head, struct list *e)
{
	e->prev = head->prev;
	e->next = head;
	head->prev->next = e;
	head->prev = e;
}

static inline void
list_remove(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

static inline struct list *
list_shift(struct list *head)
{
	struct list *e = head->next;

	if (e == head)
		return NULL;
	list_remove(e);
	return e;
}

#endif
