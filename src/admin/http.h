/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - GET /metrics for a scraper on this machine, by libmicrohttpd. It has no thread and no
 * loop of its own: the admin thread polls its one descriptor and lets it work a little whenever
 * that is ready or its time-out is over; nothing here waits for a client.
 *
 * Bounded: 16 connections, each 16 KiB of request, five seconds of silence, and a quarter of a
 * minute in all, whatever the client does. One request a connection.
 *
 * Threads: admin; start and stop: main, while the admin thread does not run. Built without
 * libmicrohttpd (http_none.c) there is never a listener: a configuration that wants one is
 * refused.
 */
#ifndef RST_ADMIN_HTTP_H
#define RST_ADMIN_HTTP_H

#include <stdbool.h>
#include <stdint.h>

/* Takes over a listening socket. False: no memory; the socket is closed. */
bool http_start(int fd);
void http_stop(void);

/* To be polled for input; -1: there is no listener. */
int http_fd(void);
/* The latest time of the next http_run, mono ms; INT64_MAX: only when http_fd is ready. */
int64_t http_due_ms(int64_t now_ms);
/* Takes what came and sends what fits. */
void http_run(int64_t now_ms);

#endif
