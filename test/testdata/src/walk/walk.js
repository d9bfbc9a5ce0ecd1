// Looks at the files below the working directory, at once and from the threads of libuv; makes and
// removes others; and prints what it sees.
const fs = require("fs"), os = require("os"), path = require("path");

function find(dir) {
  return [dir, ...fs.readdirSync(dir, { withFileTypes: true }).flatMap((e) => {
    const name = path.join(dir, e.name);
    return e.isDirectory() ? find(name) : [name];
  })];
}
const show = (name, st) => `${name} ${st.mode.toString(8)} ${st.uid}:${st.gid} ${st.rdev} ${st.size}`;

(async () => {
  const names = find(".").sort();
  const now = names.map((name) => show(name, fs.lstatSync(name)));
  const later = await Promise.all(names.map(async (name) => show(name, await fs.promises.lstat(name))));
  const differ = now.findIndex((line, i) => line !== later[i]);
  if (differ >= 0) throw new Error(`${now[differ]} became ${later[differ]}`);
  console.log(now.join("\n"));
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "walk"));
  await Promise.all(names.map(async (_, i) => {
    const file = path.join(dir, String(i));
    await fs.promises.writeFile(file, String(i));
    await fs.promises.rename(file, file + "-");
    if ((await fs.promises.stat(file + "-")).size !== String(i).length) throw new Error(file);
    await fs.promises.unlink(file + "-");
  }));
  fs.rmdirSync(dir); // which is empty
})();
