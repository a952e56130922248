/*
 * bundle_data.h - the table of modules, as the build writes it into
 * build/.../bundle_data.c. For bundle.c alone.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef LP_VM_BUNDLE_DATA_H
#define LP_VM_BUNDLE_DATA_H

#include "vm/bundle.h"

/* Closed by an entry of zeroes. */
extern const lp_bundle_module lp_bundle_modules[];

#endif
