/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stress - STRESS_POINT() stands where ownership is about to change or has just changed. Nothing at
 * all in the server; tests/load/engine_stress.c is compiled with one that waits for a random while.
 */
#ifndef RST_WORK_STRESS_H
#define RST_WORK_STRESS_H

#ifndef STRESS_POINT
#define STRESS_POINT() ((void)0)
#endif

#endif
