/* SPDX-License-Identifier: Apache-2.0 */
/* greet - a new connection: its settings, and whether it leads to a server that can be used. */
#ifndef MYSQL_GREET_H
#define MYSQL_GREET_H

#include <stdint.h>

struct db;

/* PM_OK, or d->fail is filled. */
int32_t greet(struct db *d);
/* Looks whether all statements of a connection go to one server that takes writes. PM_DOWN, and the
 * connection is useless: they do not. */
int32_t greet_look(struct db *d);

#endif
