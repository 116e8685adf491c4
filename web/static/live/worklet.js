// Loading our ends of the audio thread.

const PATIENCE_S = 15;

/** Throws where the server does not give the file, or not in time: a microphone would be open meanwhile, for nothing. */
export async function addWorklet(context, file) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("The server does not answer.")), PATIENCE_S * 1000);
  });
  try {
    await Promise.race([context.audioWorklet.addModule(new URL(file, import.meta.url)), late]);
  } finally {
    clearTimeout(timer);
  }
}
