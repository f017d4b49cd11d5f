/* SPDX-License-Identifier: Apache-2.0 */
#include "account/owners.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define FIRST_SIZE 64

struct owner {
	char *local, *name; /* local NULL: a free place */
	char *entry;        /* section and entry, or the name */
};

struct owners {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct owner *places; /* open addressing, by the local part */
	size_t size, n;       /* size: a power of two, or 0 */
};

/* ---- the table ------------------------------------------------------------------------------- */

static struct owner *
owners_place(const struct owner *places, size_t size, const char *local)
{
	size_t at = (size_t)secret_hash(local, strlen(local));

	while (places[at & (size - 1)].local && strcmp(places[at & (size - 1)].local, local) != 0)
		at++;
	return (struct owner *)(uintptr_t)&places[at & (size - 1)];
}

static bool
owners_grow(struct owners *o)
{
	size_t size = o->size ? o->size * 2 : FIRST_SIZE;
	struct owner *places = calloc(size, sizeof(*places));

	if (!places)
		return false;
	for (size_t i = 0; i < o->size; i++)
		if (o->places[i].local)
			*owners_place(places, size, o->places[i].local) = o->places[i];
	free(o->places);
	o->places = places;
	o->size = size;
	return true;
}

static void
owner_free(struct owner *w)
{
	free(w->local);
	free(w->name);
	free(w->entry);
	*w = (struct owner){0};
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* From section, name and entry; false: no memory. */
static bool
owner_make(struct owner *w, const char *section, const struct pm_user *u)
{
	const char *at = u->name.n > 0 ? memrchr(u->name.p, '@', u->name.n) : NULL;
	struct pm_str entry = {NULL, 0};

	for (uint32_t i = 0; i < u->n_attr && entry.n == 0; i++)
		if (u->attr[i].key.n == 5 && memcmp(u->attr[i].key.p, "entry", 5) == 0)
			entry = u->attr[i].value;
	w->local = strndup(u->name.p, at ? (size_t)(at - u->name.p) : u->name.n);
	w->name = strndup(u->name.p, u->name.n);
	if (entry.n == 0)
		w->entry = strndup(u->name.p, u->name.n);
	else if (asprintf(&w->entry, "%s %.*s", section, (int)entry.n, entry.p) < 0)
		w->entry = NULL;
	return w->local && w->name && w->entry;
}

/* Under the mutex. */
static void
owners_put(struct owners *o, struct owner *w)
{
	if (o->n >= OWNERS_MAX || (o->n * 2 >= o->size && !owners_grow(o)))
		return;
	*owners_place(o->places, o->size, w->local) = *w;
	*w = (struct owner){0};
	o->n++;
}

bool
owners_claim(struct owners *o, const char *section, const struct pm_user *u, char *other,
	     size_t cap)
{
	struct owner mine = {0}, *there;
	bool good = true;

	if (!o)
		return true;
	if (owner_make(&mine, section, u)) {
		pthread_mutex_lock(&o->mutex);
		there = o->size ? owners_place(o->places, o->size, mine.local) : NULL;
		if (!there || !there->local)
			owners_put(o, &mine);
		else if (strcmp(there->entry, mine.entry) != 0) {
			snprintf(other, cap, "%s", there->name);
			good = false;
		}
		pthread_mutex_unlock(&o->mutex);
	} else {
		snprintf(other, cap, "somebody (out of memory)");
		good = false;
	}
	owner_free(&mine);
	return good;
}

void
owners_forget(struct owners *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->mutex);
	for (size_t i = 0; i < o->size; i++)
		owner_free(&o->places[i]);
	o->n = 0;
	pthread_mutex_unlock(&o->mutex);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* backend->closing */
static void
owners_remove(struct backend *b)
{
	owners_forget(b->owners);
	pthread_mutex_destroy(&b->owners->mutex);
	free(b->owners->places);
	free(b->owners);
}

bool
owners_add(struct backend *b)
{
	b->owners = calloc(1, sizeof(*b->owners));
	if (!b->owners)
		return false;
	pthread_mutex_init(&b->owners->mutex, NULL);
	b->closing = owners_remove;
	return true;
}
