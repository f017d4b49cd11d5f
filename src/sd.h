/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd - systemd's side of a service, without its library: inherited sockets, readiness, watchdog.
 * See sd_listen_fds(3), sd_notify(3). Main thread.
 */
#ifndef RST_SD_H
#define RST_SD_H

#include <stdint.h>

/* The passed socket bound to this address text and port, or to this path, or -1. */
int sd_listen_find(const char *address, uint16_t port);

/* "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=..."; nothing happens without a manager. */
void sd_tell(const char *state);
void sd_tell_reloading(void);

/* Half of WATCHDOG_USEC in ms, the interval of sd_tell("WATCHDOG=1"); 0: not wanted. */
int64_t sd_watchdog_ms(void);

#endif
