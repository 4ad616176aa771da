/* What the addon writes for requests of each tick: the words of the arguments are requests in a tick, what was written goes to the file. */
#include "../../../native/awake.c"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words) {
  struct awake awake;
  awake_begin(&awake, open(words[1], O_WRONLY));
  for (int i = 2; i < count; i++) {
    awake.requests += atoi(words[i]);
    printf("%s ", awake_tick(&awake) ? "ticks" : "rests");
  }
  awake_end(&awake);
  return 0;
}
