/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stress - windows and mutants for tests/load/engine_stress.c; nothing at all in the server.
 *
 * STRESS_POINT() stands where ownership is about to change or has just changed: the stress build
 * waits there for a random while. MUTANT selects a mistake that the stress must catch:
 *   1  a session is PARKED before its socket is armed
 *   2  events are ignored while the session is RUNNING
 *   3  the peer's closing is not noted
 */
#ifndef RST_WORK_STRESS_H
#define RST_WORK_STRESS_H

#ifdef RST_STRESS
void stress_point(void);
#define STRESS_POINT() stress_point()
#ifndef MUTANT
#define MUTANT 0
#endif
#else
#define STRESS_POINT() ((void)0)
#define MUTANT 0
#endif

#endif
