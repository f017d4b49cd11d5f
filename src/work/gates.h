/* SPDX-License-Identifier: Apache-2.0 */
/* gates - the list of all gates. Threads: any; readers take no lock, since none is ever removed. */
#ifndef RST_WORK_GATES_H
#define RST_WORK_GATES_H

struct gate;

/* The newest gate, then ->next; NULL: there is none. */
struct gate *gates_first(void);
/* The gate of that name, made if there is none; NULL: no memory. */
struct gate *gates_get(const char *name);

/* At the end: frees them all. */
void gates_fini(void);

#endif
