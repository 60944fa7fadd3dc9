// Ends the virtual machine with a result: qemu's device isa-debug-exit makes (result << 1 | 1) its own exit code, so
// that 1 is a success which neither a panic nor a reboot can bring about.
//   power-off RESULT
#include <sys/io.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  constexpr unsigned short kPort = 0xf4;
  if (argc != 2 || ioperm(kPort, 4, 1) != 0) {
    std::perror("power-off: the debug port");
    return 1;
  }
  outl(static_cast<unsigned>(std::atoi(argv[1])), kPort);
  return 1;  // still here: there is no such device
}
