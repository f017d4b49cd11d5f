/* SPDX-License-Identifier: Apache-2.0 */
/* stress_point - STRESS_POINT() of work/stress.h as the stress has it: a random while. The Makefile
 * includes this before everything else. */
#ifndef STRESS_POINT_H
#define STRESS_POINT_H

void stress_point(void);
#define STRESS_POINT() stress_point()

#endif
