/* SPDX-License-Identifier: Apache-2.0 */
/* Everything here is called with the instance's mutex held, except the functions that make a
 * message, which nobody else can see yet. */
#include "box.h"

#include <stdlib.h>
#include <string.h>

#include "octets.h"
#include "seed.h"

/* ---- messages -------------------------------------------------------------------------------- */

struct ram_message *
ram_message_new(const struct ram *ram, size_t n)
{
	struct ram_message *m;

	if (n > SIZE_MAX - sizeof(*m))
		return NULL;
	m = calloc(1, sizeof(*m) + n);
	if (!m)
		return NULL;
	m->refs = 1;
	m->n = n;
	m->received_ms = ram->host->wall_ms(ram->host->ctx);
	return m;
}

void
ram_message_measure(struct ram_message *m)
{
	struct sdk_octets o;

	sdk_octets_init(&o);
	sdk_octets_feed(&o, m->bytes, m->n);
	m->octets = sdk_octets_total(&o);
	m->utf8_header = o.utf8_header;
}

bool
ram_message_set_uidl(struct ram_message *m, const char *uidl, size_t n)
{
	if (n < 1 || n > PM_UIDL_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (uidl[i] < 0x21 || uidl[i] > 0x7e)
			return false;
	memcpy(m->uidl, uidl, n);
	m->uidl_len = (uint32_t)n;
	return true;
}

void
ram_message_put(struct ram_message *m)
{
	if (m && --m->refs == 0)
		free(m);
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

/* FNV-1a. The keys come from the administrator's accounts, not from strangers. */
static uint32_t
box_hash(struct pm_str key)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 16777619u;
	return h % RAM_BUCKETS;
}

struct pm_str
ram_box_key(const struct pm_user *user)
{
	return user->key.n > 0 ? user->key : user->name;
}

struct ram_box *
ram_box_find(const struct ram *ram, struct pm_str key)
{
	struct ram_box *b = ram->buckets[box_hash(key)];

	while (b && (b->key_n != key.n || memcmp(b->key, key.p, key.n) != 0))
		b = b->next_in_bucket;
	return b;
}

static void
box_free(struct ram_box *b)
{
	for (size_t i = 0; i < b->n; i++)
		ram_message_put(b->msgs[i]);
	free(b->msgs);
	free(b->imports);
	free(b);
}

/* Room for n things of `size` bytes in a list that holds *cap. */
static void *
box_grow(void *list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *new;

	if (n <= *cap)
		return list;
	new = reallocarray(list, more, size);
	if (new)
		*cap = more;
	return new;
}

struct ram_box *
ram_box_get(struct ram *ram, struct pm_str key)
{
	struct ram_box *b = ram_box_find(ram, key), **boxes;

	if (b || key.n == 0 || key.n > PM_KEY_MAX)
		return b;
	boxes = box_grow(ram->boxes, ram->n_boxes + 1, &ram->cap_boxes, sizeof(struct ram_box *));
	if (!boxes)
		return NULL;
	ram->boxes = boxes;
	b = calloc(1, sizeof(*b) + key.n);
	if (!b)
		return NULL;
	memcpy(b->key, key.p, key.n);
	b->key_n = key.n;
	if (!ram_seed(ram, b)) {
		box_free(b);
		return NULL;
	}
	b->serial = ram->n_boxes;
	ram->boxes[ram->n_boxes++] = b;
	b->next_in_bucket = ram->buckets[box_hash(key)];
	ram->buckets[box_hash(key)] = b;
	return b;
}

bool
ram_box_has_uidl(const struct ram_box *box, const char *uidl, size_t n)
{
	for (size_t i = 0; i < box->n; i++)
		if (box->msgs[i]->uidl_len == n && memcmp(box->msgs[i]->uidl, uidl, n) == 0)
			return true;
	return false;
}

bool
ram_box_imported(const struct ram_box *box, const char *uidl, size_t n)
{
	for (size_t i = 0; i < box->n_imports; i++)
		if (strlen(box->imports[i]) == n && memcmp(box->imports[i], uidl, n) == 0)
			return true;
	return false;
}

bool
ram_box_note_import(struct ram_box *box, const char *uidl, size_t n)
{
	void *more;

	if (ram_box_imported(box, uidl, n))
		return true;
	more = box_grow(box->imports, box->n_imports + 1, &box->cap_imports, sizeof(*box->imports));
	if (!more)
		return false;
	box->imports = more;
	memcpy(box->imports[box->n_imports], uidl, n);
	box->imports[box->n_imports++][n] = '\0';
	return true;
}

bool
ram_box_add(struct ram_box *box, struct ram_message *m)
{
	struct ram_message **msgs;
	size_t at = box->n;

	msgs = box_grow(box->msgs, box->n + 1, &box->cap, sizeof(struct ram_message *));
	if (!msgs)
		return false;
	box->msgs = msgs;
	if (m->order == 0) /* an import brings its own */
		m->order = box->last_order + 1;
	if (m->order > box->last_order)
		box->last_order = m->order;
	while (at > 0 && msgs[at - 1]->order > m->order)
		at--;
	memmove(&msgs[at + 1], &msgs[at], (box->n - at) * sizeof(struct ram_message *));
	msgs[at] = m;
	box->n++;
	box->exists = true;
	if (m->received_ms > box->last_delivery_ms)
		box->last_delivery_ms = m->received_ms;
	return true;
}

void
ram_box_sweep(struct ram_box *box)
{
	size_t kept = 0;

	for (size_t i = 0; i < box->n; i++) {
		if (box->msgs[i]->gone)
			ram_message_put(box->msgs[i]);
		else
			box->msgs[kept++] = box->msgs[i];
	}
	box->n = kept;
}

void
ram_boxes_free(struct ram *ram)
{
	for (size_t i = 0; i < ram->n_boxes; i++)
		box_free(ram->boxes[i]);
	free(ram->boxes);
}
