/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/local.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "mailbox/volume.h"
#include "module/backend.h"
#include "work/gate.h"

#define WAIT_MS 10000
#define CALL_MS 30000
#define LOOKS_MAX 4

/* Looks at once: a disk that hangs holds one, and the others are to be seen all the same. */
static uint32_t
volume_permits(const struct conf *c)
{
	uint32_t most = c->workers > c->reserve ? (c->workers - c->reserve) / 4 : 0;

	if (most > LOOKS_MAX)
		most = LOOKS_MAX;
	if (most == 0)
		most = 1;
	return c->n_volumes < most ? (uint32_t)c->n_volumes : most;
}

uint32_t
local_permits(const struct conf *c)
{
	return (c->badmail.path ? (uint32_t)c->badmail.permits : 0) + volume_permits(c);
}

/* The breaker never opens: there is no backend that could be down, only a disk. */
static struct backend *
backend_local(const char *name, uint32_t permits, bool tool)
{
	struct backend *b = calloc(1, sizeof(*b));

	if (b)
		b->section = strdup(name);
	if (!b || !b->section) {
		free(b);
		return NULL;
	}
	atomic_store(&b->refs, 1);
	b->kind = CONF_LOCAL;
	b->limits = (struct gate_limits){.permits = permits,
					 .queue_max = 1000,
					 .wait_ms = WAIT_MS,
					 .call_ms = CALL_MS,
					 .scan_ms = CALL_MS,
					 .commit_ms = CALL_MS,
					 .breaker_open_ms = WAIT_MS};
	if (tool)
		return b;
	b->gate = gate_get(name, &b->limits);
	if (b->gate)
		return b;
	free((char *)(uintptr_t)b->section);
	free(b);
	return NULL;
}

static struct volume *
local_find(const struct conf *c, const char *name)
{
	for (size_t i = 0; name && i < c->n_volumes; i++)
		if (strcmp(c->volumes[i].name, name) == 0)
			return c->volumes[i].vol;
	return NULL;
}

bool
local_open(struct conf *c, bool tool)
{
	for (size_t i = 0; i < c->n_volumes; i++)
		if (!(c->volumes[i].vol = volume_get(&c->volumes[i])))
			return false;
	c->badmail.vol = local_find(c, c->badmail.volume);
	c->state_vol = local_find(c, c->state_volume);
	for (size_t i = 0; i < c->n_storage; i++)
		c->storage[i].vol = local_find(c, c->storage[i].volume);
	if (c->badmail.path &&
	    !(c->badmail.backend = backend_local("badmail", (uint32_t)c->badmail.permits, tool)))
		return false;
	if (c->n_volumes > 0 &&
	    !(c->volume_backend = backend_local("volumes", volume_permits(c), tool)))
		return false;
	return true;
}

void
local_release(struct conf *c)
{
	backend_put(c->badmail.backend);
	backend_put(c->volume_backend);
}
