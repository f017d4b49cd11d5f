/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure - when the table is nearly full, sessions that only hold a place give it up.
 * Threads: the acceptor's.
 */
#ifndef RST_NET_PRESSURE_H
#define RST_NET_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

/* Asks one session to leave (NOTE_PRESSURE): parked, not logged in, no credential given, older than
 * 5 s, first from the address with most connections. False: there is none. */
bool pressure_relieve(int64_t now_ms);

/* Forgets the findings of the last look; for a new table. */
void pressure_forget(void);

#endif
