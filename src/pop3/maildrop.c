/* SPDX-License-Identifier: Apache-2.0 */
#include "pop3/maildrop.h"

#include <stdlib.h>
#include <string.h>

static uint64_t
map_bytes(uint64_t count)
{
	return (count + 7) / 8;
}

uint64_t
maildrop_bytes(uint64_t count)
{
	return count > UINT64_MAX / 16 ? UINT64_MAX
				       : count * sizeof(uint64_t) + 3 * map_bytes(count);
}

bool
maildrop_init(struct maildrop *m, uint64_t count)
{
	memset(m, 0, sizeof(*m));
	m->count = m->live_count = count;
	if (count == 0)
		return true;
	if (count > SIZE_MAX / 16)
		return false;
	m->deleted = calloc(3, map_bytes(count)); /* all maps in one piece */
	if (!m->deleted)
		return false;
	m->retrieved = m->deleted + map_bytes(count);
	m->unread = m->retrieved + map_bytes(count);
	return true;
}

void
maildrop_fini(struct maildrop *m)
{
	free(m->octets);
	free(m->deleted);
	memset(m, 0, sizeof(*m));
}

bool
maildrop_need_sizes(struct maildrop *m)
{
	if (!m->octets && m->count > 0)
		m->octets = malloc(m->count * sizeof(*m->octets));
	return m->octets || m->count == 0;
}

void
maildrop_add_size(struct maildrop *m, uint64_t octets)
{
	uint64_t idx = m->sized++;

	m->octets[idx] = octets;
	if (!maildrop_deleted(m, idx))
		m->live_octets += octets;
}

void
maildrop_set_size(struct maildrop *m, uint64_t idx, uint64_t octets)
{
	if (!maildrop_deleted(m, idx))
		m->live_octets += octets - m->octets[idx];
	m->octets[idx] = octets;
}

bool
maildrop_find(const struct maildrop *m, uint64_t msgno, uint64_t *ret_idx)
{
	if (msgno < 1 || msgno > m->count || maildrop_deleted(m, msgno - 1))
		return false;
	*ret_idx = msgno - 1;
	return true;
}

bool
maildrop_deleted(const struct maildrop *m, uint64_t idx)
{
	return m->deleted[idx / 8] >> (idx % 8) & 1;
}

void
maildrop_delete(struct maildrop *m, uint64_t idx)
{
	if (maildrop_deleted(m, idx))
		return;
	m->deleted[idx / 8] |= (uint8_t)(1u << (idx % 8));
	m->live_count--;
	if (idx < m->sized)
		m->live_octets -= m->octets[idx];
}

bool
maildrop_retrieved(const struct maildrop *m, uint64_t idx)
{
	return m->retrieved[idx / 8] >> (idx % 8) & 1;
}

void
maildrop_set_retrieved(struct maildrop *m, uint64_t idx)
{
	uint8_t bit = (uint8_t)(1u << (idx % 8));

	m->n_retrieved += !(m->retrieved[idx / 8] & bit);
	m->retrieved[idx / 8] |= bit;
}

bool
maildrop_unread(const struct maildrop *m, uint64_t idx)
{
	return m->unread[idx / 8] >> (idx % 8) & 1;
}

void
maildrop_set_unread(struct maildrop *m, uint64_t idx, bool unread)
{
	uint8_t bit = (uint8_t)(1u << (idx % 8));

	m->unread[idx / 8] = unread ? m->unread[idx / 8] | bit : m->unread[idx / 8] & (uint8_t)~bit;
}

void
maildrop_reset(struct maildrop *m)
{
	if (m->live_count == m->count)
		return;
	memset(m->deleted, 0, map_bytes(m->count));
	m->live_count = m->count;
	m->live_octets = 0;
	for (uint64_t i = 0; i < m->sized; i++)
		m->live_octets += m->octets[i];
}

uint64_t
maildrop_pending(const struct maildrop *m)
{
	return m->count - m->live_count;
}

uint64_t
maildrop_next_live(const struct maildrop *m, uint64_t from)
{
	while (from < m->count) {
		if (from % 8 == 0 && m->deleted[from / 8] == 0xff) {
			from += 8;
			continue;
		}
		if (!maildrop_deleted(m, from))
			return from;
		from++;
	}
	return m->count;
}
