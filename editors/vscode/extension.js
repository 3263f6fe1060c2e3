// Starts the language server and hands it what is typed. All else is the server's: fdifc lsp.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("fdif").get("command");
  client = new LanguageClient("fdif", "fdif-dsl", { command, args }, { documentSelector: [{ language: "sdf" }] });
  try {
    await client.start();
  } catch (error) {
    const open = "Open the setting";
    const chosen = await vscode.window.showErrorMessage(
      `fdif-dsl: \`${[command, ...args].join(" ")}\` cannot be started (${error.message}). ` +
        "Install it with: pip install 'fdif-dsl[lsp]'", open);
    if (chosen === open) vscode.commands.executeCommand("workbench.action.openSettings", "fdif.command");
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running?.isRunning()) await running.stop();
}

function activate(context) {
  const again = async () => { await stop(); await start(); };
  context.subscriptions.push(
    vscode.commands.registerCommand("fdif.restart", again),
    vscode.workspace.onDidChangeConfiguration((change) => change.affectsConfiguration("fdif.command") && again()));
  return start();
}

module.exports = { activate, deactivate: stop };
