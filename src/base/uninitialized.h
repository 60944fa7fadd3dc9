// Exempts one local variable from -ftrivial-auto-var-init, where filling it with zeros would cost more than the work on
// it. Each use is a variable whose members are all set before they are read. GCC and clang name the attribute
// differently and each warns about the other's name.
#pragma once

#if defined(__clang__)
#define RINGWAY_UNINITIALIZED [[clang::uninitialized]]
#else
#define RINGWAY_UNINITIALIZED [[gnu::uninitialized]]
#endif
